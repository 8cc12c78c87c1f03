import CLinux
import Foundation
import Glibc
import Logging
import Synchronization

/// The control socket: a line of JSON each way, a thread per client. One client's command that waits
/// for a path that hangs is in no other's way.
public final class ControlServer: Sendable {
    private struct State {
        var clients: Set<Int32> = []
        var isStopped = false
    }

    private let lun: SimulatedLUN
    private let listener: Int32
    private let state = Mutex(State())

    private init(lun: SimulatedLUN, listener: Int32) {
        self.lun = lun
        self.listener = listener
    }

    /// Listens on the configuration's socket, of mode 0600; a dead simulator's is replaced.
    public static func start(_ lun: SimulatedLUN) throws(LUNError) -> ControlServer {
        let path = lun.configuration.socket
        guard var address = UnixAddress(path) else {
            throw LUNError("\(path): a socket's name has at most 107 bytes")
        }
        let listener = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw LUNError.system("socket", path) }
        if address.withPointer({ connect(listener, $0, $1) }) == 0 {
            close(listener)
            throw LUNError("\(path): another simulator listens there")
        }
        unlink(path)
        guard address.withPointer({ bind(listener, $0, $1) }) == 0, chmod(path, 0o600) == 0,
            listen(listener, 64) == 0
        else {
            let error = LUNError.system("listen on", path)
            close(listener)
            throw error
        }
        let server = ControlServer(lun: lun, listener: listener)
        server.run("lun-control") { $0.accept() }
        return server
    }

    /// Ends every client's connection and removes the socket.
    public func stop() {
        state.withLock { state in
            state.isStopped = true
            for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) }
        }
        // Wakes the accepting thread, which closes it.
        shutdown(listener, Int32(SHUT_RDWR))
        unlink(lun.configuration.socket)
    }

    private func run(_ name: String, _ body: @escaping @Sendable (ControlServer) -> Void) {
        let thread = Thread { body(self) }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
    }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else {
                if state.withLock({ $0.isStopped }) { break }
                // Out of descriptors, or the client is gone already.
                usleep(10_000)
                continue
            }
            let admitted = state.withLock { state in
                guard !state.isStopped, state.clients.count < LUNLimits.clientsMaximum else {
                    return false
                }
                state.clients.insert(client)
                return true
            }
            if admitted {
                run("lun-client") { $0.serve(client) }
            } else {
                _ = Self.send(
                    ControlHandler.line(ControlFailure(error: "too many clients: try again")),
                    to: client)
                close(client)
            }
        }
        close(listener)
    }

    private func serve(_ client: Int32) {
        defer {
            // Closed under the lock: a number that `stop` shuts down is no one else's.
            state.withLock {
                $0.clients.remove(client)
                _ = close(client)
            }
        }
        let handler = ControlHandler(lun: lun) {
            var byte: UInt8 = 0
            let count = recv(client, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
            return count > 0 || (count < 0 && errno == EAGAIN)
        }
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            pending += buffer[..<count]
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                guard Self.send(handler.answer(line), to: client) else { return }
            }
            guard pending.count <= LUNLimits.lineMaximumBytes else {
                _ = Self.send(
                    ControlHandler.line(
                        ControlFailure(
                            error: "a request has at most \(LUNLimits.lineMaximumBytes) bytes")),
                    to: client)
                return
            }
        }
    }

    private static func send(_ bytes: [UInt8], to client: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    client, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}

/// An address of unix(7).
struct UnixAddress {
    private var address = sockaddr_un()

    /// Nil where the name is too long.
    init?(_ path: String) {
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    }

    mutating func withPointer(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            // Sound: connect(2) and bind(2) take any address as a sockaddr with its true size.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
