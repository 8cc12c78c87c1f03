import Glibc

/// Unix sockets, as far as the lab looks at them.
enum UnixSocket {
    /// Whether someone listens on it. A socket's file outlives its process.
    static func accepts(_ path: String) -> Bool {
        guard let number = try? connected(path) else { return false }
        close(number)
        return true
    }

    /// Sends a line, and returns the line that comes back, up to the limit of a state file.
    static func exchange(_ line: [UInt8], with path: String) throws(LabError) -> [UInt8] {
        let number: Int32
        do throws(LabError) {
            number = try connected(path)
        } catch {
            throw gone(error)
        }
        let connection = Descriptor(owning: number)
        var limit = timeval(tv_sec: Int(LabLimits.commandSeconds), tv_usec: 0)
        setsockopt(
            connection.number, SOL_SOCKET, SO_RCVTIMEO, &limit,
            socklen_t(MemoryLayout<timeval>.size))
        guard send(connection.number, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else {
            throw gone(LabError.system("send", path))
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while answer.last != UInt8(ascii: "\n") {
            let count = recv(connection.number, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == ECONNRESET {
                // It was killed with the connection in its queue.
                throw gone(LabError.system("receive from", path))
            }
            guard count >= 0 else { throw LabError.system("receive from", path) }
            guard count > 0, answer.count < LabLimits.maximumStateFileBytes else { break }
            answer += buffer[..<count]
        }
        return answer
    }

    private static func gone(_ error: LabError) -> LabError {
        LabError(.daemonFailed, "\(error.message): does its process run? `covol lab status` says")
    }

    private static func connected(_ path: String) throws(LabError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LabError.system("connect", path, error: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw LabError.system("socket", path) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            // Sound: connect(2) takes any address as a sockaddr with its true size.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(number, $0, size)
            }
        }
        guard result == 0 else {
            let error = LabError.system("connect", path)
            close(number)
            throw error
        }
        return number
    }
}
