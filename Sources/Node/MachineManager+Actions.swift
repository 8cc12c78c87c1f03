import ClusterAuthority
import ClusterStore
import Foundation
import Logging
import MachineCore
import MachineSupervision
import Management
import VirtualMachines
import VolumeModel

extension MachineManager {
    /// A guest that was asked to shut down has so long.
    static let shutdownGrace = Duration.seconds(60)
    /// A copy that may run, and cannot yet, is given up after so long.
    static let resumePatience = Duration.seconds(60)

    func perform(_ action: MachineHostAction, on name: String) async {
        switch action {
        case .launch(let epoch, let isRestoring): await launch(name, epoch, isRestoring)
        case .receive(let epoch): await receive(name, epoch)
        case .send(let epoch, let target, let address): await send(name, epoch, target, address)
        case .cancel: await attempt(name, "cancel") { try await $0.cancelSending() }
        case .resume(let epoch): await resume(name, epoch)
        case .pause(let wanted):
            await attempt(name, "pause") {
                wanted ? try await $0.pause() : try await $0.run()
            }
        case .save(let epoch): await save(name, epoch)
        case .stop(.shutdown): await shutDown(name)
        case .stop(.powerOff), .kill: kill(name)
        case .write(let next, let after): await write(next, after: after)
        }
    }

    private func attempt(
        _ name: String, _ what: String, _ body: (MachineProcess) async throws -> Void
    ) async {
        guard let process = copies[name] else { return }
        do {
            try await body(process)
        } catch {
            log.warning(
                "a machine does not obey",
                metadata: ["machine": "\(name)", "order": "\(what)", "error": "\(error)"])
        }
    }

    // MARK: Starting

    private func launch(_ name: String, _ epoch: UInt64, _ isRestoring: Bool) async {
        await start(name, epoch, isIncoming: isRestoring) { process in
            guard isRestoring else { return }
            try await process.restore(
                from: process.folder + "/" + MachineConfiguration.stateFileName)
        }
        if copies[name] != nil { deliver(.launched(epoch), to: name) }
    }

    private func receive(_ name: String, _ epoch: UInt64) async {
        let migration = record(of: name)?.migration
        await start(name, epoch, isIncoming: true) { process in
            let address = try await process.receive(
                address: self.ownAddress(), credentials: try self.streamCredentials())
            let changed = try await self.context.store.changeMachine(name) { record in
                guard record.phase == .migrating, record.target == self.context.node,
                    record.epoch + 1 == epoch, record.migration == migration
                else { throw NodeError("it does not come here any more") }
                record.arrival = address
            }
            guard changed != nil else { throw NodeError("there is no such machine any more") }
        }
        guard let process = copies[name] else { return }
        do {
            try await process.arrived()
            deliver(.arrived(epoch), to: name)
        } catch {
            // Its end tells.
            process.kill()
        }
    }

    /// Starts a copy and prepares it; where that fails the host is told that it has ended.
    private func start(
        _ name: String, _ epoch: UInt64, isIncoming: Bool,
        _ prepare: @Sendable (MachineProcess) async throws -> Void
    ) async {
        unwanted.remove(name)
        do {
            guard let record = record(of: name) else { throw NodeError("it has no record") }
            let folder = try folder(of: record)
            let configuration = try await configuration(folder, isIncoming: isIncoming)
            let directory = runDirectory(name, epoch)
            try? FileManager.default.removeItem(atPath: directory.path)
            let command = QEMUCommand(
                configuration: configuration, folder: folder, directory: directory,
                isIncoming: isIncoming)
            let process = try await MachineProcess.start(
                command, supervisor: try Self.supervisor(),
                leaseEndNanoseconds: context.membership.endNanoseconds)
            guard unwanted.remove(name) == nil else {
                process.kill()
                throw NodeError("it is not wanted any more")
            }
            copies[name] = process
            configurations[name] = configuration
            do {
                try await prepare(process)
            } catch {
                copies[name] = nil
                process.kill()
                let words = process.directory.lastOutput
                throw NodeError(words.isEmpty ? "\(error)" : "\(error): \(words)")
            }
            watchEnd(of: process, name)
        } catch {
            log.warning(
                "a machine could not be started",
                metadata: ["machine": "\(name)", "error": "\(error)"])
            deliver(.exited(reason: "\(error)", isGuestsWish: false), to: name)
        }
    }

    /// Of a boot what its file says, which is kept for the copies that go on from it.
    private func configuration(
        _ folder: String, isIncoming: Bool
    ) async throws -> MachineConfiguration {
        let running = folder + "/" + MachineConfiguration.runningFileName
        if isIncoming { return try .decode(try await VolumeFiles.read(running)) }
        let data = try await VolumeFiles.read(folder + "/" + MachineConfiguration.fileName)
        let configuration = try MachineConfiguration.decode(data)
        // Nothing is written where it says so already: also on a full volume a machine boots again.
        if (try? await VolumeFiles.read(running)) != data {
            try await VolumeFiles.write(data, to: running)
        }
        return configuration
    }

    /// The program beside this one.
    private static func supervisor() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = (own as NSString).deletingLastPathComponent + "/covol-machine"
        guard access(path, X_OK) == 0 else {
            throw NodeError("\(path) is missing: install it beside covold")
        }
        return path
    }

    /// Of one copy; its files stay until the next copy of that machine.
    private func runDirectory(_ name: String, _ epoch: UInt64) -> MachineRunDirectory {
        MachineRunDirectory(path: machinesFolder + "/\(name)@\(epoch)")
    }

    private var machinesFolder: String { context.configuration.state + "/vm" }

    /// Where peers reach this node.
    private func ownAddress() throws -> String {
        guard let listen = context.configuration.listen.first,
            let end = listen.lastIndex(of: ":")
        else { throw NodeError("this node listens on no address") }
        return String(listen[..<end]).trimmingCharacters(in: ["[", "]"])
    }

    /// The node's certificate under the names that QEMU looks for.
    private func streamCredentials() throws -> String {
        let folder = context.configuration.state + "/vm-tls"
        let source = context.configuration.certificates
        let files = [
            "ca-cert.pem": "ca.pem", "server-cert.pem": "node.pem",
            "server-key.pem": "node-key.pem", "client-cert.pem": "node.pem",
            "client-key.pem": "node-key.pem",
        ]
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            for (name, target) in files {
                let link = folder + "/" + name
                try? FileManager.default.removeItem(atPath: link)
                try FileManager.default.createSymbolicLink(
                    atPath: link, withDestinationPath: source + "/" + target)
            }
        } catch {
            throw NodeError("\(folder): \(error.localizedDescription)")
        }
        return folder
    }

    /// The copies of an earlier life, of each machine the one with the highest epoch; others are ended.
    func leftCopies(
        _ snapshot: MachineSnapshot
    ) async -> [(String, (process: MachineProcess, found: MachineHostEvent.Found))] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: machinesFolder)) ?? []
        var left: [(String, (process: MachineProcess, found: MachineHostEvent.Found))] = []
        for entry in names {
            guard let at = entry.lastIndex(of: "@"),
                let epoch = UInt64(entry[entry.index(after: at)...])
            else { continue }
            let name = String(entry[..<at])
            let directory = MachineRunDirectory(path: machinesFolder + "/" + entry)
            guard let processes = MachineProcesses(in: directory), processes.machine.isAlive else {
                continue
            }
            do {
                let record = snapshot.machines[name]?.value
                let folder = try record.map { try self.folder(of: $0) } ?? ""
                guard record?.owner == context.node, record?.epoch == epoch,
                    let process = try await MachineProcess.find(in: directory, folder: folder)
                else { throw NodeError("it is not this node's any more") }
                let root = context.root
                let isLost = try await Blocking.run { process.hasLostFiles(below: root) }
                guard !isLost else { throw NodeError("its disks went with the last daemon") }
                left.append((name, (process, try await Self.found(process, epoch))))
            } catch {
                log.warning(
                    "a copy of a machine that was left is ended",
                    metadata: ["machine": "\(name)", "error": "\(error)"])
                _ = Glibc.kill(processes.machine.process, SIGKILL)
            }
        }
        return left
    }

    private static func found(
        _ process: MachineProcess, _ epoch: UInt64
    ) async throws -> MachineHostEvent.Found {
        if try await process.status() == .receiving { return .useless }
        let isSent = try await process.settleStreams()
        switch try await process.status() {
        case .running, .storageFailed: return .running(epoch)
        case .receiving: return .useless
        case .sent, .standing: return isSent ? .sent(epoch) : .standing(epoch)
        }
    }

    // MARK: Running and ending

    private func resume(_ name: String, _ epoch: UInt64) async {
        guard let process = copies[name], context.membership.isValid else { return kill(name) }
        // Its image's lock may still be on its way from the last owner, past a coordinator that changes.
        let deadline = ContinuousClock.now + Self.resumePatience
        while true {
            do {
                try await process.run()
                break
            } catch {
                log.warning(
                    "a machine does not run yet",
                    metadata: ["machine": "\(name)", "error": "\(error)"])
                guard ContinuousClock.now < deadline, context.membership.isValid,
                    copies[name] === process
                else { return process.kill() }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        details[name] = nil
        // QEMU does it when the stream ends, which may be before it runs.
        await attempt(name, "announce") { try await $0.announce() }
        if let record = record(of: name) {
            context.events.note(
                .machineRuns, volume: volumeName(record.volume), outcome: "epoch \(epoch)",
                "the machine \(name) runs on \(context.node)")
        }
        // The state that it goes on from is of no use any more, and would be of none.
        let state = process.folder + "/" + MachineConfiguration.stateFileName
        try? await VolumeFiles.remove(state)
    }

    func watchEnd(of process: MachineProcess, _ name: String) {
        Task {
            let (reason, isGuestsWish) = await process.ended()
            guard copies[name] === process else { return }
            copies[name] = nil
            configurations[name] = nil
            halted[name] = nil
            details[name] = nil
            log.notice(
                "a machine's copy has ended",
                metadata: ["machine": "\(name)", "reason": "\(reason)"])
            deliver(.exited(reason: reason, isGuestsWish: isGuestsWish), to: name)
        }
    }

    private func kill(_ name: String) {
        if let process = copies[name] {
            process.kill()
        } else {
            unwanted.insert(name)
        }
    }

    private func shutDown(_ name: String) async {
        guard let process = copies[name] else { return kill(name) }
        await attempt(name, "shut down") { try await $0.shutDown() }
        Task {
            try? await Task.sleep(for: Self.shutdownGrace)
            guard copies[name] === process else { return }
            log.warning(
                "a guest did not shut down in time: its plug is pulled",
                metadata: ["machine": "\(name)"])
            process.kill()
        }
    }

    // MARK: Moving

    private func send(
        _ name: String, _ epoch: UInt64, _ target: String, _ address: String
    ) async {
        guard let process = copies[name] else { return }
        let outcome: MachineHostEvent.Outcome
        do {
            try await process.send(
                to: MigrationTarget(
                    address: address,
                    hostName: AuthorityNames.dnsName(node: target, clusterID: context.clusterID)),
                credentials: try streamCredentials()
            ) { progress in await self.show(progress, of: name) }
            outcome = .completed
        } catch {
            guard let isSent = await isSent(process, name) else { return }
            outcome = isSent ? .completed : .failed("\(error)")
        }
        details[name] = nil
        deliver(.sent(epoch, outcome), to: name)
    }

    /// Whatever went wrong on the way: QEMU knows whether all of it is over there, and nobody else. Nil:
    /// it is gone, and its end tells.
    private func isSent(_ process: MachineProcess, _ name: String) async -> Bool? {
        while copies[name] === process {
            if let isSent = try? await process.settleStreams() { return isSent }
            try? await Task.sleep(for: .milliseconds(200))
        }
        return nil
    }

    private func save(_ name: String, _ epoch: UInt64) async {
        guard let process = copies[name] else { return }
        do {
            let state = process.folder + "/" + MachineConfiguration.stateFileName
            try await VolumeFiles.remove(state)
            try await process.save(to: state) { progress in await self.show(progress, of: name) }
            deliver(.saved(epoch, failure: nil), to: name)
        } catch {
            _ = try? await process.settleStreams()
            deliver(.saved(epoch, failure: "\(error)"), to: name)
        }
        details[name] = nil
    }

    private func show(_ progress: MigrationProgress, of name: String) {
        let percent =
            progress.totalBytes == 0
            ? 0 : 100 - min(100, progress.remainingBytes * 100 / progress.totalBytes)
        var text =
            "\(percent) %, \(progress.transferredBytes >> 20) MiB sent, "
            + "\(progress.remainingBytes >> 20) MiB left, dirty "
            + "\(progress.dirtyBytesPerSecond >> 20) MiB/s, blackout "
            + "\(progress.expectedBlackoutMilliseconds) ms"
        if progress.throttlePercent > 0 { text += ", slowed by \(progress.throttlePercent) %" }
        details[name] = text
    }

    // MARK: Records

    private func write(_ next: MachineRecord, after: MachineRecord) async {
        let key = StoreKeys.machine(next.name)
        var isWritten = false
        while true {
            do {
                let current = try await context.store.getJSON(key, as: MachineRecord.self)
                if !isWritten, let current, current.value == after {
                    isWritten =
                        try await context.store.compareAndPutJSON(
                            key, modRevision: current.entry.modRevision, next) != nil
                }
                let newest = try await context.store.get(key)
                let record = try newest.entry.map { entry in
                    Decoded(value: try entry.decoded(as: MachineRecord.self), entry: entry)
                }
                take(record, of: next.name, at: newest.revision)
                return deliver(.wrote(isWritten), to: next.name)
            } catch {
                log.warning(
                    "a machine's record could not be written yet",
                    metadata: ["machine": "\(next.name)", "error": "\(error)"])
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    // MARK: Storage trouble

    /// A guest whose storage failed stands still; it is let go on when the storage is back.
    func lookAfterStorage(_ name: String, _ process: MachineProcess) async {
        guard case .running = copyState(of: name) else { return }
        guard let status = try? await process.status() else { return }
        let volume = record(of: name).flatMap { volumeName($0.volume) }
        guard status == .storageFailed else {
            guard let since = halted.removeValue(forKey: name) else { return }
            details[name] = nil
            context.events.note(
                .machineResumed, volume: volume, cause: "its storage is back", outcome: "running",
                durationSeconds: since.duration(to: .now).seconds,
                "the machine \(name) goes on: its storage is back")
            return
        }
        let isFull = await process.isStorageFull
        if halted[name] == nil {
            halted[name] = .now
            details[name] = isFull ? "the volume is full" : "its storage does not answer"
            context.events.note(
                .machineHalted, .error, volume: volume,
                cause: isFull ? "the volume is full" : "its storage failed", outcome: "paused",
                isFull
                    ? "the machine \(name) stands still: \(volume ?? "its volume") is full. Make "
                        + "space there, and it goes on by itself"
                    : "the machine \(name) stands still: \(volume ?? "its volume") does not take its "
                        + "reads and writes. It goes on by itself when the volume does")
        }
        await attempt(name, "go on") { try await $0.run() }
    }
}
