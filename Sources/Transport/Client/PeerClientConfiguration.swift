/// How a client connects to its peer.
public struct PeerClientConfiguration: Sendable {
    /// Connections for each lane.
    public var connectionsPerLane: [Lane: Int]
    public var connection: ConnectionConfiguration
    public var backoff: Backoff
    /// For TCP alone; then `TransportLimits.handshakeSeconds` counts.
    public var connectTimeout: Duration

    public init(
        connectionsPerLane: [Lane: Int] = [.metadata: 1, .bulk: 1],
        connection: ConnectionConfiguration = ConnectionConfiguration(),
        backoff: Backoff = Backoff(),
        connectTimeout: Duration = .seconds(3)
    ) {
        precondition(
            connectionsPerLane.values.allSatisfy {
                (1...TransportLimits.connectionsPerLaneMaximum).contains($0)
            } && !connectionsPerLane.isEmpty)
        self.connectionsPerLane = connectionsPerLane
        self.connection = connection
        self.backoff = backoff
        self.connectTimeout = connectTimeout
    }
}

/// What a client tells of its connections.
public enum PeerClientState: Sendable, Equatable {
    /// Every lane has a connection.
    case connected
    /// Some lane has none; why it was lost, or could not be made.
    case disconnected(TransportError)
}
