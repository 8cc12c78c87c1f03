import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Keeps connections to one node, on every lane, and makes them again when they break.
///
/// May be used from any thread. Calls never wait for a connection: without one they fail at once with
/// `.notConnected`, and were not sent.
public final class PeerClient: Sendable {
    public let peer: PeerIdentity
    /// Tried in this order at every attempt.
    public let addresses: [TransportAddress]
    let group: any EventLoopGroup
    let configuration: PeerClientConfiguration
    let credentials: TransportCredentials
    let handlers: TransportHandlers
    let logger: Logger
    let state: PeerClientConnections
    private let loops = Mutex<[Task<Void, Never>]>([])

    /// - Parameters:
    ///   - node: the node to reach; a server with another certificate is refused.
    ///   - addresses: at least one.
    ///   - group: runs the connections; must outlive the client.
    ///   - handlers: for what the server sends back on these connections.
    ///   - onStateChange: called in order, on an event loop; must not block.
    public init(
        node: String,
        addresses: [TransportAddress],
        credentials: TransportCredentials,
        configuration: PeerClientConfiguration = PeerClientConfiguration(),
        group: any EventLoopGroup,
        handlers: TransportHandlers = TransportHandlers(),
        onStateChange: @escaping @Sendable (PeerClientState) -> Void = { _ in },
        logger: Logger
    ) {
        precondition(!addresses.isEmpty)
        TransportLimits.assertRelations()
        self.peer = PeerIdentity(node: node)
        self.addresses = addresses
        self.group = group
        self.configuration = configuration
        self.credentials = credentials
        self.handlers = handlers
        self.state = PeerClientConnections(
            lanes: Set(configuration.connectionsPerLane.keys), eventLoop: group.next(),
            onStateChange: onStateChange)
        var logger = logger
        logger[metadataKey: "node"] = "\(node)"
        self.logger = logger
    }

    /// Begins to connect, and keeps at it until `close`. Call it once.
    public func start() {
        loops.withLock { loops in
            precondition(loops.isEmpty, "a client is started once")
            for (lane, count) in configuration.connectionsPerLane {
                for _ in 0..<count { loops.append(Task { await self.keepConnected(lane) }) }
            }
        }
    }

    /// Calls on the lane's connection; of several, they take turns. See `PeerConnection.call`.
    public func call(
        _ message: TransportMessage, lane: Lane = .metadata, timeout: Duration? = nil
    ) async throws(TransportError) -> TransportMessage {
        try await connection(lane).call(message, timeout: timeout)
    }

    /// As `call`, without a task that waits. See `PeerConnection.call(_:completion:)`.
    public func call(
        _ message: TransportMessage, lane: Lane = .metadata,
        completion: @escaping @Sendable (CallResult) -> Void
    ) {
        let connection: PeerConnection
        do throws(TransportError) {
            connection = try self.connection(lane)
        } catch {
            return completion(.failure(error))
        }
        connection.call(message, completion: completion)
    }

    /// Sends a message without an answer. See `PeerConnection.send`.
    public func send(
        _ message: TransportMessage, lane: Lane = .metadata, timeout: Duration? = nil
    ) async throws(TransportError) {
        try await connection(lane).send(message, timeout: timeout)
    }

    /// The next connection of a lane.
    public func connection(_ lane: Lane) throws(TransportError) -> PeerConnection {
        guard let connection = state.next(lane) else {
            throw TransportError(
                .notConnected, "not connected to \(peer): \(state.reason.message)")
        }
        return connection
    }

    /// All connections that stand now.
    public var connections: [PeerConnection] { state.all }

    public var isConnected: Bool { state.isConnected }

    /// Waits until every lane has a connection.
    ///
    /// - Throws: `.timedOut` with the last reason, `.cancelled`, `.closed`.
    public func waitUntilConnected(timeout: Duration) async throws(TransportError) {
        try await state.waitUntilConnected(timeout: timeout)
    }

    /// Closes the connections, and makes none again. Outstanding calls fail.
    public func close() async {
        let loops = self.loops.withLock { $0 }
        for loop in loops { loop.cancel() }
        for connection in state.close() { connection.close() }
        for loop in loops { await loop.value }
    }
}
