/// The times of a connection.
public struct ConnectionConfiguration: Sendable {
    /// How often silence is looked at; a ping goes out when nothing has come in since.
    public var keepaliveInterval: Duration
    /// After this many silent intervals in a row the peer counts as gone.
    public var missedIntervalsMaximum: Int

    public init(keepaliveInterval: Duration = .seconds(1), missedIntervalsMaximum: Int = 5) {
        precondition(keepaliveInterval > .zero && missedIntervalsMaximum > 1)
        self.keepaliveInterval = keepaliveInterval
        self.missedIntervalsMaximum = missedIntervalsMaximum
    }
}

/// Which end of a connection this is, and what it expects.
enum ConnectionRole: Sendable {
    case server
    /// A client knows whom it meant to reach.
    case client(node: String, lane: Lane)
}

/// What every connection of one server or client shares.
struct ConnectionContext: Sendable {
    var role: ConnectionRole
    var credentials: TransportCredentials
    var handlers: TransportHandlers
    var configuration: ConnectionConfiguration
}
