import Foundation
import Glibc

extension Lab {
    /// Makes a lab and returns when every node serves the volume.
    ///
    /// When it fails or its task is cancelled, what was made is taken down again; the logs stay.
    /// - Parameters:
    ///   - directory: made if it does not exist.
    ///   - owner: the process whose end makes the lab remains for `LabSweep`; nil for a lab that
    ///     stays until `down`. While `up` runs it is this process in any case.
    ///   - progress: gets a line for each step.
    public static func up(
        directory: String, options: LabOptions = LabOptions(), owner: ProcessIdentity? = .current,
        binaries: LabBinaries? = nil, certificates: (any LabCertificates)? = nil,
        registry: LabRegistry = .machine, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> Lab {
        guard getuid() == 0 else {
            throw LabError(.badOption, "a lab makes namespaces and mounts: run it as root")
        }
        try options.validate()
        let found: LabBinaries
        if let binaries { found = binaries } else { found = try LabBinaries.find() }
        guard !options.simulatedLUN || access(found.covolLUN, X_OK) == 0 else {
            throw LabError(
                .missingBinary,
                "\(found.covolLUN), the LUN simulator, is missing: build it (`make build`)")
        }
        try SystemFile.makeDirectory(directory)
        let path = resolve(directory)
        try LabPlan(directory: path, id: LabLimits.labIDs.upperBound, options: options).validate()
        let hasImage = SystemFile.exists(path + "/lun.img")
        // A running lab's image is the registry's to refuse, with another word.
        if hasImage && !options.replacesImage && !SystemFile.exists(path + "/lab.json") {
            throw LabError(
                .alreadyUp,
                "\(path)/lun.img is the LUN of an earlier lab: move it away, or say --replace "
                    + "to overwrite it")
        }
        let record = try registry.reserve(directory: path, options: options, owner: .current)
        let lab = Lab(record: record, binaries: found, registry: registry)
        do {
            try await lab.make(certificates: certificates, progress: progress)
            try lab.update { $0.owner = owner }
            return lab
        } catch {
            progress("failed: taking the lab down; its logs stay in \(path)")
            let tails = lab.logTails()
            // Not cancelled with the task: cleaning up comes first.
            do {
                try await lab.down()
            } catch {
                progress("while taking it down: \(error)")
            }
            if !tails.isEmpty && !(error is CancellationError) { progress(tails) }
            throw error
        }
    }

    private func make(
        certificates: (any LabCertificates)?, progress: @escaping @Sendable (String) -> Void
    ) async throws {
        let plan = self.plan
        progress("\(plan.clusterName): \(plan.options.nodes) nodes in \(plan.directory)")
        try await Blocking.run { () throws(LabError) in
            try LabFiles(plan: plan).make()
            // Two first uses of /run/netns at once would trip over each other.
            try self.registry.locked { () throws(LabError) in try LabNetwork(plan: plan).up() }
        }
        try Task.checkCancellation()
        if let certificates {
            progress("certificates")
            try certificates.issue(plan)
        }
        progress("store")
        try await startStore()
        if plan.options.simulatedLUN {
            progress("LUN simulator")
            try await startSimulator()
        }
        progress("daemons")
        for node in nodes { try node.start() }
        for node in nodes { try await node.waitForSocket() }
        guard plan.options.addsVolume else { return }
        progress("volume \(plan.options.volumeName) (\(plan.options.fileSystem.rawValue))")
        try await addVolume()
        try await waitUntilServing(progress: progress)
    }

    /// Starts the store's process and waits for its `ready`.
    public func startStore() async throws {
        let plan = self.plan
        let command = Command(
            [
                binaries.covolStore, "--database", plan.storeDatabase, "--socket",
                plan.storeSocket,
            ], workingDirectory: "/", networkNamespace: plan.switchNamespace)
        let before = LogFile(path: plan.storeLog).sizeBytes
        let store = try LogFile(path: plan.storeLog).start(command)
        try update { $0.store = store }
        try await wait(
            atMostSeconds: LabLimits.daemonStartSeconds, forProcess: store, log: plan.storeLog,
            what: "the store"
        ) {
            LogFile(path: plan.storeLog).text(fromBytes: before)
                .split(separator: "\n").contains("ready")
        }
    }

    private func startSimulator() async throws {
        let plan = self.plan
        let command = Command(
            [
                binaries.covolLUN, "--image", plan.imagePath, "--mount", plan.lunDirectory,
                "--control", plan.lunSocket, "--paths",
                plan.nodes.map(\.name).joined(separator: ","),
            ], workingDirectory: "/", networkNamespace: plan.switchNamespace)
        let before = LogFile(path: plan.lunLog).sizeBytes
        let simulator = try LogFile(path: plan.lunLog).start(command)
        try update { $0.simulator = simulator }
        try await wait(
            atMostSeconds: LabLimits.daemonStartSeconds, forProcess: simulator, log: plan.lunLog,
            what: "the LUN simulator"
        ) {
            LogFile(path: plan.lunLog).text(fromBytes: before)
                .split(separator: "\n").contains("ready")
        }
    }

    private func addVolume() async throws {
        let options = plan.options
        let result = try await node(1).covol(
            [
                "volume", "add", plan.lunDevice, "--format", "--filesystem",
                options.fileSystem.rawValue, "--name", options.volumeName,
            ], timeoutSeconds: LabLimits.volumeAddSeconds)
        guard result.status == 0 else {
            throw LabError(
                .commandFailed,
                "covol volume add: status \(result.status): \(result.stderr)\(result.stdout)")
        }
    }

    /// Polls until the condition holds.
    /// - Throws: `daemonFailed` when the process ends or the time is over, with its log's end.
    func wait(
        atMostSeconds: Double, forProcess process: ProcessIdentity, log: String, what: String,
        until isDone: () -> Bool
    ) async throws {
        let deadline = Clock.nowSeconds + atMostSeconds
        while !isDone() {
            let reason: String
            if !process.isAlive {
                reason = "ended"
            } else if Clock.nowSeconds > deadline {
                reason = "is not ready after \(Int(atMostSeconds)) s"
            } else {
                try await Task.sleep(for: .milliseconds(20))
                continue
            }
            throw LabError(
                .daemonFailed, "\(what) \(reason); the end of \(log):\n\(LogFile(path: log).tail)")
        }
    }
}
