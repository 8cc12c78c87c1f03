import Dispatch
import Glibc
import Testing

@testable import ClusterStore

/// A client without manners: sends bytes as they are, and goes without a word.
final class RawConnection: Sendable {
    private let descriptor: Int32

    init(_ path: String, timeoutSeconds: Int = 30) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0, "cannot connect: \(errno)")
    }

    deinit {
        close(descriptor)
    }

    /// False when the peer has closed, or takes nothing for the time-out.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    @discardableResult
    func send(_ number: UInt64, _ request: StoreRequest) -> Bool {
        send(Self.frame(number, request))
    }

    static func frame(_ number: UInt64, _ request: StoreRequest) -> [UInt8] {
        Array(StoreFrame.buffer(StoreMessage(number: number, body: request)).readableBytesView)
    }

    func greet() async throws {
        send(0, .hello(version: StoreHello.version))
        guard case .hello = try #require(await receive()).body else {
            Issue.record("no greeting")
            return
        }
    }

    /// The next reply; nil at the connection's end or after the time-out.
    func receive() async -> StoreMessage<StoreReply>? {
        // Not on one of the few threads that tasks share: the server here needs them.
        await withCheckedContinuation { done in
            DispatchQueue.global().async { done.resume(returning: self.receiveBlocking()) }
        }
    }

    private func receiveBlocking() -> StoreMessage<StoreReply>? {
        guard let header = read(4) else { return nil }
        let length = header.reduce(0) { $0 << 8 | Int($1) }
        guard let body = read(length) else { return nil }
        return try? StoreMessage(decoding: body)
    }

    private func read(_ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var chunk = [UInt8](repeating: 0, count: count - bytes.count)
            let got = recv(descriptor, &chunk, chunk.count, 0)
            if got <= 0 { return nil }
            bytes += chunk.prefix(got)
        }
        return bytes
    }
}
