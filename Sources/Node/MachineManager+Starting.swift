import Foundation
import Logging
import MachineCore
import MachineSupervision
import VirtualMachines

/// How copies come about on this node: started, received, or left by an earlier life of the daemon.
extension MachineManager {
    func launch(_ name: String, _ epoch: UInt64, _ isRestoring: Bool) async {
        await start(name, epoch, isIncoming: isRestoring) { process in
            guard isRestoring else { return }
            try await process.restore(
                from: process.folder + "/" + MachineConfiguration.stateFileName)
        }
        if copies[name] != nil { deliver(.launched(epoch), to: name) }
    }

    func receive(_ name: String, _ epoch: UInt64) async {
        let migration = record(of: name)?.migration
        await start(name, epoch, isIncoming: true) { process in
            let arrival = try await process.receive(
                address: self.ownAddress(), credentials: try self.streamCredentials())
            let changed = try await self.context.store.changeMachine(name) { record in
                guard record.phase == .migrating, record.target == self.context.node,
                    record.epoch + 1 == epoch, record.migration == migration
                else { throw NodeError("it does not come here any more") }
                record.arrival = arrival.description
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
            removeEndedRuns(of: name)
            let command = QEMUCommand(
                configuration: configuration, folder: folder, directory: directory,
                isIncoming: isIncoming)
            let process = try await MachineProcess.start(
                command, supervisor: try Self.supervisor(),
                leaseEndNanoseconds: context.membership.endNanoseconds)
            guard unwanted.remove(name) == nil else {
                process.kill()
                _ = await process.ended()
                throw NodeError("it is not wanted any more")
            }
            copies[name] = process
            do {
                try await prepare(process)
            } catch {
                copies[name] = nil
                process.kill()
                // It may be started elsewhere once this is told.
                _ = await process.ended()
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

    /// What earlier copies of a machine have left here: it was kept for people to read.
    private func removeEndedRuns(of name: String) {
        let runs = (try? FileManager.default.contentsOfDirectory(atPath: machinesFolder)) ?? []
        for run in runs where run.hasPrefix(name + "@") {
            let directory = MachineRunDirectory(path: machinesFolder + "/" + run)
            let processes = MachineProcesses(in: directory)
            let isInUse =
                processes.map { $0.supervisor.isAlive || $0.machine.isAlive } ?? false
            if !isInUse { try? FileManager.default.removeItem(atPath: directory.path) }
        }
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
    func streamCredentials() throws -> String {
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

    /// A copy of an earlier life.
    enum LeftCopy {
        case found(MachineProcess, MachineHostEvent.Found)
        /// It is of no use, and is being ended: until it is gone its machine is not told to be.
        case ending(MachineProcesses)
    }

    /// The copies of an earlier life that are still there, with their machines' names.
    func leftCopies(_ snapshot: MachineSnapshot) async -> [(name: String, copy: LeftCopy)] {
        let runs = (try? FileManager.default.contentsOfDirectory(atPath: machinesFolder)) ?? []
        var left: [(name: String, copy: LeftCopy)] = []
        for run in runs.sorted() {
            guard let at = run.lastIndex(of: "@"), let epoch = UInt64(run[run.index(after: at)...])
            else { continue }
            let name = String(run[..<at])
            let directory = MachineRunDirectory(path: machinesFolder + "/" + run)
            guard let processes = MachineProcesses(in: directory), processes.machine.isAlive else {
                continue
            }
            do {
                left.append(
                    (name, try await find(snapshot.machines[name]?.value, epoch, directory)))
            } catch {
                log.warning(
                    "a copy of a machine that was left is ended",
                    metadata: ["machine": "\(name)", "error": "\(error)"])
                left.append((name, .ending(processes)))
            }
        }
        return left
    }

    private func find(
        _ record: MachineRecord?, _ epoch: UInt64, _ directory: MachineRunDirectory
    ) async throws -> LeftCopy {
        guard let record, record.owner == context.node, record.epoch == epoch else {
            throw NodeError("it is not this node's any more")
        }
        guard
            let process = try await MachineProcess.find(
                in: directory, folder: try folder(of: record))
        else { throw NodeError("it has just ended") }
        let (root, isResumed) = (context.root, context.resumption != nil)
        let hasLost = try await Blocking.run {
            process.hasLostFiles(below: root, isResumed: isResumed)
        }
        guard !hasLost else {
            throw NodeError("its disks went with the last daemon")
        }
        return .found(process, try await Self.found(process, epoch, record))
    }

    /// Ends a copy, and tells its host when it is gone.
    func end(_ processes: MachineProcesses, of name: String) {
        Task {
            while processes.machine.isAlive {
                _ = Glibc.kill(processes.machine.process, SIGKILL)
                try? await Task.sleep(for: .milliseconds(20))
            }
            deliver(
                .exited(reason: "its disks went with the last daemon", isGuestsWish: false),
                to: name)
        }
    }

    private static func found(
        _ process: MachineProcess, _ epoch: UInt64, _ record: MachineRecord
    ) async throws -> MachineHostEvent.Found {
        if try await process.status() == .receiving { return .useless }
        let isSent = try await process.settleStreams()
        switch try await process.status() {
        case .running, .storageFailed: return .running(epoch)
        case .receiving: return .useless
        case .sent, .standing:
            // Its operator had it stand still: that is told to it once more, and it does not run before.
            if !isSent, record.phase == .running, record.isPaused { return .running(epoch) }
            return isSent ? .sent(epoch) : .standing(epoch)
        }
    }
}
