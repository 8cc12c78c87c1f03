import Glibc

/// The log of a process that the lab started.
struct LogFile {
    let path: String

    /// Starts a process whose standard output and errors are appended here.
    func start(_ command: Command) throws(LabError) -> ProcessIdentity {
        let log = try Descriptor(
            opening: path, flags: O_WRONLY | O_CREAT | O_APPEND, mode: 0o644)
        let null = try Descriptor(opening: "/dev/null")
        let pid = try command.start(
            input: null.number, output: log.number, errors: log.number)
        guard let identity = ProcessIdentity(pid: pid) else {
            throw LabError(
                .daemonFailed, "\(command.shown): ended at once; the end of \(path):\n\(tail)")
        }
        return identity
    }

    var sizeBytes: Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// What was written from an offset on, up to the limit of a state file.
    func text(fromBytes offset: Int = 0) -> String {
        guard let file = try? Descriptor(opening: path) else { return "" }
        var buffer = [UInt8](repeating: 0, count: LabLimits.maximumStateFileBytes)
        let count = pread(file.number, &buffer, buffer.count, off_t(offset))
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    /// The last lines.
    var tail: String {
        let start = max(0, sizeBytes - (64 << 10))
        let lines = text(fromBytes: start).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.suffix(LabLimits.logTailLines).joined(separator: "\n")
    }
}
