import Glibc

/// Unix sockets, as far as the lab looks at them.
enum UnixSocket {
    /// Whether someone listens on it. A socket's file outlives its process.
    static func accepts(_ path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return false }
        defer { close(number) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafePointer(to: &address) { pointer in
            // Sound: connect(2) takes any address as a sockaddr with its true size.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(number, $0, size) == 0
            }
        }
    }
}
