import Glibc

/// One exchange of lines over a Unix socket, within a time.
final class UnixConnection {
    private let number: Int32
    private let deadlineSeconds: Double
    private let name: String

    /// - Parameter name: what messages call the other end.
    init(_ path: String, timeoutSeconds: Double, name: String) throws(FenceError) {
        deadlineSeconds = BootClock.nowSeconds + timeoutSeconds
        self.name = name
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .invalidConfiguration("\(path): a socket's path has at most 107 bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        number = socket(AF_UNIX, Int32(flags), 0)
        guard number >= 0 else {
            throw .transport("\(name): no socket: \(text(ofErrno: errno))")
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        while true {
            let result = withUnsafePointer(to: &address) { pointer in
                // Sound: connect(2) takes any address as a sockaddr with its true size.
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(number, $0, size)
                }
            }
            if result == 0 { return }
            // A full backlog; unix(7) has nothing to wait for then.
            guard errno == EAGAIN || errno == EINTR, BootClock.nowSeconds < deadlineSeconds else {
                throw .transport("\(name): \(path): \(text(ofErrno: errno))")
            }
            usleep(10_000)
        }
    }

    deinit { close(number) }

    func send(_ bytes: [UInt8]) throws(FenceError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    number, buffer.baseAddress! + sent, buffer.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else { try wait(for: POLLOUT, after: errno) }
        }
    }

    /// The next line, without its end.
    func receiveLine(maximumBytes: Int) throws(FenceError) -> [UInt8] {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(number, &buffer, buffer.count)
            if count == 0 { throw .transport("\(name): closed without an answer") }
            if count < 0 {
                try wait(for: POLLIN, after: errno)
                continue
            }
            let end = buffer[..<count].firstIndex(of: UInt8(ascii: "\n"))
            line += buffer[..<(end ?? count)]
            guard line.count <= maximumBytes else {
                throw .damagedAnswer("\(name): a line of more than \(maximumBytes) bytes")
            }
            if end != nil { return line }
        }
    }

    private func wait(for events: Int32, after code: Int32) throws(FenceError) {
        if code == EINTR { return }
        guard code == EAGAIN else { throw .transport("\(name): \(text(ofErrno: code))") }
        let leftSeconds = deadlineSeconds - BootClock.nowSeconds
        guard leftSeconds > 0 else { throw .timedOut(name) }
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        _ = poll(&entry, 1, Int32(leftSeconds * 1000) + 1)
    }
}
