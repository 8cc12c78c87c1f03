import Glibc

/// Closes every descriptor but the standard three.
public func closeInherited() {
    guard let folder = opendir("/proc/self/fd") else { return }
    var descriptors: [Int32] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if let number = Int32(name), number > 2, number != dirfd(folder) {
            descriptors.append(number)
        }
    }
    closedir(folder)
    for descriptor in descriptors { close(descriptor) }
}

/// The parent of one QEMU, in a process of its own that outlives the daemon: it ends QEMU when the
/// lease has passed, and QEMU ends with it (PR_SET_PDEATHSIG, by setpriv(1)).
public struct MachineSupervisor {
    private static let pollMicroseconds: UInt32 = 20_000
    private let directory: MachineRunDirectory

    public init(directory: MachineRunDirectory) { self.directory = directory }

    /// Starts what `command` names and returns after its end, which is in `end` then.
    public func run() {
        guard let text = SmallFile.read(directory.command) else {
            return finish(MachineEnd(cause: .notStarted, number: ENOENT))
        }
        let command =
            ["setpriv", "--pdeathsig", "KILL", "--"]
            + text.split(separator: "\0", omittingEmptySubsequences: false).dropLast()
            .map(String.init)
        // Not one moment without a lease.
        guard isLeaseValid else { return finish(MachineEnd(cause: .lease, number: SIGKILL)) }
        guard let own = ProcessLife(of: getpid()) else { return }
        var process: pid_t = 0
        let failure = spawn(command, &process)
        guard failure == 0, let machine = ProcessLife(of: process) else {
            return finish(MachineEnd(cause: .notStarted, number: failure))
        }
        note("started as process \(process)")
        guard MachineProcesses(supervisor: own, machine: machine).write(to: directory) else {
            kill(process, SIGKILL)
            return finish(MachineEnd(cause: .notStarted, number: errno))
        }
        finish(watch(process))
    }

    private var isLeaseValid: Bool {
        guard let end = MachineLease(directory).endNanoseconds else { return false }
        return bootNanoseconds() < end
    }

    private func watch(_ process: pid_t) -> MachineEnd {
        var isLeaseOver = false
        var status: Int32 = 0
        while true {
            let result = waitpid(process, &status, WNOHANG)
            if result == process { break }
            if !isLeaseOver, !isLeaseValid {
                isLeaseOver = true
                note("the lease has ended: killing process \(process)")
                kill(process, SIGKILL)
            }
            usleep(Self.pollMicroseconds)
        }
        let signal = status & 0x7f
        if isLeaseOver { return MachineEnd(cause: .lease, number: signal) }
        return signal == 0
            ? MachineEnd(cause: .exited, number: status >> 8 & 0xff)
            : MachineEnd(cause: .killed, number: signal)
    }

    private func finish(_ end: MachineEnd) {
        note("ended: \(end.cause.rawValue) \(end.number)")
        if !end.write(to: directory) { note("the end could not be written: errno \(errno)") }
    }

    private func spawn(_ command: [String], _ process: inout pid_t) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, directory.output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let arguments = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        return posix_spawnp(&process, command[0], &actions, nil, arguments, environ)
    }

    /// Times are CLOCK_BOOTTIME's, in seconds, so that those of one machine's nodes compare.
    private func note(_ text: String) {
        let milliseconds = bootNanoseconds() / 1_000_000
        let fraction = String(milliseconds % 1000)
        let padding = String(repeating: "0", count: 3 - fraction.count)
        let line = "\(milliseconds / 1000).\(padding)\(fraction) \(text)\n"
        let descriptor = open(directory.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, line, line.utf8.count)
        close(descriptor)
    }
}
