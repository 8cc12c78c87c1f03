import Glibc

/// The path of the server's Unix socket, unix(7).
enum StoreSocketPath {
    /// What `sun_path` holds, without the closing zero.
    static let limitBytes = 107

    /// Where the socket is bound before it is moved to `path`, ready to answer and with its mode.
    static func temporary(_ path: String) -> String { "\(path).\(getpid())" }

    /// Throws `StoreError.inUse` when something other than a dead server's socket is at `path`.
    static func check(_ path: String) throws(StoreError) {
        if path.isEmpty || temporary(path).utf8.count > limitBytes {
            throw .invalidRequest(
                "the socket path '\(path)' has \(path.utf8.count) bytes, not 1 to "
                    + "\(limitBytes - (temporary(path).utf8.count - path.utf8.count))")
        }
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT != S_IFSOCK {
            throw .inUse("\(path) exists and is not a socket; move it away or use another path")
        }
        if isAnswered(path) {
            throw .inUse("another process listens on \(path); stop it or use another path")
        }
    }

    private static func isAnswered(_ path: String) -> Bool {
        let type =
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Refused means that nobody listens; a full queue (EAGAIN) that somebody does.
        return result == 0 || (errno != ECONNREFUSED && errno != ENOENT)
    }
}
