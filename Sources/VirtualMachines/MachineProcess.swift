import Foundation
import MachineSupervision

/// One copy of a machine on this host: its QEMU, below a supervisor that outlives this process.
public actor MachineProcess {
    /// What QEMU is doing.
    public enum Status: Hashable, Sendable {
        case running
        /// Its processors stand still: not started yet, or paused.
        case standing
        /// It has stopped because its storage failed.
        case storageFailed
        /// It waits for a stream, or takes one.
        case receiving
        /// It was sent away.
        case sent
    }

    public nonisolated let directory: MachineRunDirectory
    /// The machine's folder, as this node sees it.
    public nonisolated let folder: String
    public nonisolated let processes: MachineProcesses
    let monitor: QMPConnection
    /// The guest turned itself off.
    private var isGuestsWish = false
    private var isFull = false
    /// Its supervisor is a child of this process, whose end was not taken yet.
    private var isChild: Bool

    private init(
        directory: MachineRunDirectory, folder: String, processes: MachineProcesses,
        monitor: QMPConnection, isChild: Bool
    ) {
        self.isChild = isChild
        self.directory = directory
        self.folder = folder
        self.processes = processes
        self.monitor = monitor
        Task { await self.follow() }
    }

    /// Starts a copy with its processors standing still.
    ///
    /// - Parameters:
    ///   - supervisor: the program `covol-machine`.
    ///   - leaseEndNanoseconds: until when it may run, by CLOCK_BOOTTIME.
    public static func start(
        _ command: QEMUCommand, supervisor: String, leaseEndNanoseconds: UInt64
    ) async throws -> MachineProcess {
        let directory = command.directory
        do {
            try FileManager.default.createDirectory(
                atPath: directory.path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw MachineError("\(directory.path): \(error.localizedDescription)")
        }
        guard directory.prepare(command: command.arguments),
            command.configuration.bridge.map(directory.prepare(bridge:)) ?? true,
            MachineLease(directory).extend(toNanoseconds: leaseEndNanoseconds)
        else {
            throw MachineError("\(directory.path) cannot be written: errno \(errno)")
        }
        try spawn(supervisor, directory)
        let processes = try await started(directory)
        do {
            // It opens its disks first, which waits where a volume is just changing its coordinator.
            let monitor = try await QMPConnection.connect(
                path: directory.monitor, timeout: .seconds(60),
                while: { processes.machine.isAlive })
            return MachineProcess(
                directory: directory, folder: command.folder, processes: processes,
                monitor: monitor, isChild: true)
        } catch {
            kill(processes.machine)
            throw MachineError("\(error); \(directory.lastOutput)")
        }
    }

    /// The copy that runs in a folder; nil where it has ended.
    public static func find(
        in directory: MachineRunDirectory, folder: String
    ) async throws -> MachineProcess? {
        guard let processes = MachineProcesses(in: directory), processes.machine.isAlive else {
            return nil
        }
        return MachineProcess(
            directory: directory, folder: folder, processes: processes,
            monitor: try await QMPConnection.connect(path: directory.monitor), isChild: false)
    }

    private static func spawn(_ supervisor: String, _ directory: MachineRunDirectory) throws {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigfillset(&defaults)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, directory.output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let arguments: [UnsafeMutablePointer<CChar>?] = [
            strdup(supervisor), strdup(directory.path), nil,
        ]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, supervisor, &actions, &attributes, arguments, environ)
        guard result == 0 else {
            throw MachineError("\(supervisor): \(String(cString: strerror(result)))")
        }
    }

    private static func started(
        _ directory: MachineRunDirectory
    ) async throws -> MachineProcesses {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if let end = MachineEnd(in: directory) {
                throw MachineError(
                    "QEMU did not start (\(end.cause.rawValue) \(end.number)): "
                        + directory.lastOutput)
            }
            if let processes = MachineProcesses(in: directory) { return processes }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw MachineError("the supervisor did not start QEMU in ten seconds")
    }

    private func follow() async {
        for await event in monitor.events {
            switch event.name {
            case "SHUTDOWN":
                isGuestsWish = event.data["guest"]?.isTrue ?? false
            case "BLOCK_IO_ERROR": isFull = event.data["nospace"]?.isTrue ?? false
            default: break
            }
        }
    }

    // MARK: The end

    /// Returns when the copy has ended: why, and whether the guest wanted it.
    public func ended() async -> (reason: String, isGuestsWish: Bool) {
        while true {
            // Once: its number may be another's afterwards.
            if isChild, waitpid(processes.supervisor.process, nil, WNOHANG) != 0 { isChild = false }
            if let end = MachineEnd(in: directory) { return describe(end) }
            if !processes.supervisor.isAlive, !processes.machine.isAlive {
                return ("its supervisor was killed", false)
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    private func describe(_ end: MachineEnd) -> (reason: String, isGuestsWish: Bool) {
        switch end.cause {
        case .exited where end.number == 0:
            return ("QEMU ended", isGuestsWish)
        case .exited:
            return ("QEMU failed (exit status \(end.number)): \(directory.lastOutput)", false)
        case .killed: return ("QEMU was killed by signal \(end.number)", false)
        case .lease: return ("the node had lost its membership", false)
        case .notStarted: return ("QEMU was not started: errno \(end.number)", false)
        }
    }

    /// At once.
    public nonisolated func kill() { Self.kill(processes.machine) }

    private static func kill(_ life: ProcessLife) {
        if life.isAlive { _ = Glibc.kill(life.process, SIGKILL) }
    }

    /// Lets the copy run until then; false where it cannot be told.
    public nonisolated func extendLease(toNanoseconds nanoseconds: UInt64) -> Bool {
        MachineLease(directory).extend(toNanoseconds: nanoseconds)
    }

    /// A file that it has open below a folder is gone for ever, with the mount that it was opened on.
    /// May block where such a mount hangs.
    /// - Parameter isResumed: the mounts that are there are those of the last daemon.
    public nonisolated func hasLostFiles(below folder: String, isResumed: Bool) -> Bool {
        let descriptors = "/proc/\(processes.machine.process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []
        let mounts = isResumed ? Self.mountNumbers(below: folder) : []
        return names.contains { name in
            let path = descriptors + "/" + name
            guard
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                target.hasPrefix(folder + "/")
            else { return false }
            // On a mount that is there it is not, and nothing need be asked of that.
            if let mount = mountNumber(ofDescriptor: name), mounts.contains(mount) { return false }
            var found = stat()
            return stat(path, &found) != 0 && (errno == ENOTCONN || errno == ECONNABORTED)
        }
    }

    /// proc_pid_fdinfo(5)
    private nonisolated func mountNumber(ofDescriptor name: String) -> Int? {
        let path = "/proc/\(processes.machine.process)/fdinfo/\(name)"
        let text = FileManager.default.contents(atPath: path).map {
            String(decoding: $0, as: UTF8.self)
        }
        let line = text?.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        return line.flatMap { Int($0.dropFirst(7).trimmingCharacters(in: .whitespaces)) }
    }

    /// proc_pid_mountinfo(5)
    private static func mountNumbers(below folder: String) -> Set<Int> {
        let text = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        return Set(
            lines.compactMap { line in
                let fields = line.split(separator: " ")
                guard fields.count > 4, fields[4].hasPrefix(folder + "/") else { return nil }
                return Int(fields[0])
            })
    }

    // MARK: What it does

    public func status() async throws -> Status {
        let answer = try await monitor.execute("query-status")
        switch answer["status"]?.text {
        case "running": return .running
        case "io-error": return .storageFailed
        case "inmigrate": return .receiving
        case "postmigrate": return .sent
        default: return .standing
        }
    }

    /// The storage that failed was full.
    public var isStorageFull: Bool { isFull }

    public func run() async throws { try await monitor.execute("cont") }

    /// Tells the guest's network where it is now.
    public func announce() async throws {
        try await monitor.execute(
            "announce-self", ["initial": 50, "max": 550, "rounds": 5, "step": 100])
    }

    public func pause() async throws { try await monitor.execute("stop") }

    public func reset() async throws { try await monitor.execute("system_reset") }

    /// Presses the power button.
    public func shutDown() async throws { try await monitor.execute("system_powerdown") }
}
