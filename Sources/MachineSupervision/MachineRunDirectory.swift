import Glibc

/// Where one copy of a machine runs: a folder on the node's own disk or tmpfs, one for each copy, with
/// its sockets and what its supervisor and the daemon tell each other.
public struct MachineRunDirectory: Hashable, Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// QEMU and its arguments, each ended by a NUL.
    public var command: String { path + "/command" }
    /// Until when the copy may run, see ``MachineLease``.
    public var lease: String { path + "/lease" }
    /// The processes, see ``MachineProcesses``.
    public var processes: String { path + "/processes" }
    /// How it ended, see ``MachineEnd``.
    public var end: String { path + "/end" }
    /// The supervisor's words, with times.
    public var log: String { path + "/supervisor.log" }
    /// What QEMU says on its standard error.
    public var output: String { path + "/qemu.log" }
    /// What QEMU calls with the name of the guest's network device on this host.
    public var networkScript: String { path + "/network.sh" }

    /// Has the guest's network device join a bridge of this host, whose name is one that the kernel takes.
    public func prepare(bridge: String) -> Bool {
        let quoted = "'" + bridge.split(separator: "'").joined() + "'"
        return SmallFile.write(
            "#!/bin/sh\nexec ip link set dev \"$1\" master \(quoted) up\n", to: networkScript)
            && chmod(networkScript, 0o700) == 0
    }

    /// Puts what the supervisor is to start; its folder must be there.
    public func prepare(command arguments: [String]) -> Bool {
        SmallFile.write(arguments.map { $0 + "\0" }.joined(), to: command)
    }

    /// The last lines of what QEMU said.
    public var lastOutput: String {
        let lines = SmallFile.read(output)?.split(separator: "\n") ?? []
        return lines.suffix(3).joined(separator: "; ")
    }

    public var monitor: String { path + "/qmp.sock" }
    public var console: String { path + "/console.sock" }
    public var consoleLog: String { path + "/console.log" }
}

/// Small files, written so that a reader sees all of one or none.
enum SmallFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &bytes, bytes.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: text, as: UTF8.self) }
            text += bytes[..<count]
        }
    }

    static func write(_ text: String, to path: String) -> Bool {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                close(descriptor)
                return false
            }
            bytes = bytes.dropFirst(count)
        }
        close(descriptor)
        return rename(temporary, path) == 0
    }
}

/// CLOCK_BOOTTIME, in nanoseconds.
public func bootNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Until when a copy may run. The daemon writes it while its node is a member; the supervisor ends the
/// copy when it has passed.
public struct MachineLease: Sendable {
    let path: String

    public init(_ directory: MachineRunDirectory) { path = directory.lease }

    /// - Parameter nanoseconds: by ``bootNanoseconds()``.
    public func extend(toNanoseconds nanoseconds: UInt64) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // Eight bytes at once: a reader sees the old number or the new one.
        return withUnsafeBytes(of: nanoseconds.littleEndian) {
            pwrite(descriptor, $0.baseAddress, 8, 0) == 8
        }
    }

    public var endNanoseconds: UInt64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var number: UInt64 = 0
        guard pread(descriptor, &number, 8, 0) == 8 else { return nil }
        return UInt64(littleEndian: number)
    }
}

/// A process that cannot be taken for a later one of the same number.
public struct ProcessLife: Hashable, Sendable {
    public var process: Int32
    /// In clock ticks since the machine's boot, proc_pid_stat(5).
    public var start: UInt64

    public init(process: Int32, start: UInt64) {
        self.process = process
        self.start = start
    }

    /// Nil where there is no such process, or nothing is left of it but its exit status.
    public init?(of process: Int32) {
        guard let text = SmallFile.read("/proc/\(process)/stat"),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[end...].split(separator: " ").dropFirst()
        guard fields.count > 19, fields.first != "Z", fields.first != "X",
            let start = UInt64(fields[fields.startIndex + 19])
        else { return nil }
        self.init(process: process, start: start)
    }

    public var isAlive: Bool { ProcessLife(of: process) == self }
}

/// Who runs a copy, and for what.
public struct MachineProcesses: Hashable, Sendable {
    public var supervisor: ProcessLife
    public var machine: ProcessLife

    init(supervisor: ProcessLife, machine: ProcessLife) {
        self.supervisor = supervisor
        self.machine = machine
    }

    public init?(in directory: MachineRunDirectory) {
        guard let text = SmallFile.read(directory.processes) else { return nil }
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { UInt64($0) }
        guard numbers.count == 4, let first = Int32(exactly: numbers[0]),
            let second = Int32(exactly: numbers[2])
        else { return nil }
        supervisor = ProcessLife(process: first, start: numbers[1])
        machine = ProcessLife(process: second, start: numbers[3])
    }

    func write(to directory: MachineRunDirectory) -> Bool {
        SmallFile.write(
            "\(supervisor.process) \(supervisor.start)\n\(machine.process) \(machine.start)\n",
            to: directory.processes)
    }
}

/// How a copy ended.
public struct MachineEnd: Hashable, Sendable {
    public enum Cause: String, Hashable, Sendable {
        /// By itself, with that exit status.
        case exited
        /// By that signal.
        case killed
        /// Its node was no member any more: the supervisor ended it.
        case lease
        /// It could not be started, with that errno.
        case notStarted
    }

    public var cause: Cause
    /// The exit status, the signal's number or the errno.
    public var number: Int32

    init(cause: Cause, number: Int32) {
        self.cause = cause
        self.number = number
    }

    public init?(in directory: MachineRunDirectory) {
        guard let text = SmallFile.read(directory.end) else { return nil }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let cause = Cause(rawValue: String(words[0])),
            let number = Int32(words[1])
        else { return nil }
        self.init(cause: cause, number: number)
    }

    func write(to directory: MachineRunDirectory) -> Bool {
        SmallFile.write("\(cause.rawValue) \(number)\n", to: directory.end)
    }
}
