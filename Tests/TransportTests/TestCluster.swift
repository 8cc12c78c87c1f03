import ClusterAuthority
import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Transport

/// A cluster's authority, and servers and clients of its nodes on the loopback.
struct TestCluster {
    let authority: CertificateAuthority
    var group: MultiThreadedEventLoopGroup = .singleton
    let log = CapturedLog()

    init(_ name: String = "lab", clusterID: String? = nil) throws {
        authority = try CertificateAuthority.create(clusterName: name, clusterID: clusterID)
    }

    init(authority: CertificateAuthority) {
        self.authority = authority
    }

    var logger: Logger {
        let log = self.log
        return Logger(label: "transport") { _ in CapturingHandler(log: log) }
    }

    func credentials(_ node: String) throws -> TransportCredentials {
        try TransportCredentials(authority.issueNodeCertificate(node: node))
    }

    func server(
        _ node: String = "server", at address: String = "127.0.0.1:0",
        configuration: ConnectionConfiguration = patient,
        handlers: TransportHandlers
    ) async throws -> TransportServer {
        try await TransportServer.bind(
            to: [TransportAddress(address)], credentials: credentials(node),
            configuration: configuration, group: group, handlers: handlers, logger: logger)
    }

    func client(
        _ node: String = "client", of server: String = "server", at addresses: [TransportAddress],
        configuration: PeerClientConfiguration = PeerClientConfiguration(connection: patient),
        handlers: TransportHandlers = TransportHandlers(),
        onStateChange: @escaping @Sendable (PeerClientState) -> Void = { _ in }
    ) throws -> PeerClient {
        PeerClient(
            node: server, addresses: addresses, credentials: try credentials(node),
            configuration: configuration, group: group, handlers: handlers,
            onStateChange: onStateChange, logger: logger)
    }

    /// A server and a connected client, closed after `body`.
    func withPair(
        server serverHandlers: TransportHandlers,
        client clientHandlers: TransportHandlers = TransportHandlers(),
        connection: ConnectionConfiguration = patient,
        _ body: (TransportServer, PeerClient) async throws -> Void
    ) async throws {
        let server = try await server(configuration: connection, handlers: serverHandlers)
        let client = try client(
            at: server.addresses,
            configuration: PeerClientConfiguration(connection: connection),
            handlers: clientHandlers)
        client.start()
        let result: Result<Void, any Error>
        do {
            try await client.waitUntilConnected(timeout: .seconds(10))
            result = .success(try await body(server, client))
        } catch { result = .failure(error) }
        await client.close()
        await server.close()
        try result.get()
    }
}

/// A machine with all cores busy is no silent peer.
let patient = ConnectionConfiguration(keepaliveInterval: .seconds(1), missedIntervalsMaximum: 60)

/// The log of one test.
final class CapturedLog: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: String) { lines.withLock { $0.append(line) } }

    func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }

    var text: String { lines.withLock { $0.joined(separator: "\n") } }
}

struct CapturingHandler: LogHandler {
    let log: CapturedLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(log: CapturedLog) { self.log = log }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        log.append(
            "\(event.level) \(event.message) "
                + all.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: " "))
    }
}

/// Opens once; whoever waits goes on.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    func wait() async {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(waiter) }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// Polls for something that happens on another thread.
func eventually(
    within limit: Duration = .seconds(10), _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return try await condition()
}

func text(_ text: String) -> TransportMessage { TransportMessage(body: ByteBuffer(string: text)) }

/// Bytes that repeat only after a prime number of them: parts in a wrong place show.
func bytes(_ count: Int, seed: UInt8 = 1) -> ByteBuffer {
    var value = UInt32(seed)
    let block = (0..<min(count, 65_521)).map { _ in
        value = value &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: value >> 24)
    }
    var buffer = ByteBuffer()
    while buffer.readableBytes < count {
        buffer.writeBytes(block.prefix(count - buffer.readableBytes))
    }
    return buffer
}

let echo = TransportHandlers(request: { message, _ in message })
