/// Whether a node's daemon takes part in the cluster.
public enum NodeState: String, Sendable, CaseIterable {
    /// Its membership lease holds and it serves its volumes.
    case up = "Up"
    /// It has no membership lease.
    case down = "Down"
    /// It has a membership lease and does not serve all volumes yet.
    case starting = "Starting"
    /// It has no membership lease, and it is proven that it can write to no volume any more.
    case fenced = "Fenced"
}

/// A node as `covol node list` tells it.
public struct NodeSummary: Codable, Sendable, Equatable {
    public var name: String
    /// A `NodeState`'s raw value. A string, so that an older client shows a newer daemon's words.
    public var state: String
    /// Where the other nodes reach it, as `address:port`.
    public var addresses: [String]
    /// The life of its daemon, in hexadecimal. JSON readers lose bits of numbers this large.
    public var incarnation: String
    /// The names of the volumes that it coordinates, by name.
    public var coordinatorOf: [String]

    public init(
        name: String, state: NodeState, addresses: [String], incarnation: String,
        coordinatorOf: [String]
    ) {
        self.name = name
        self.state = state.rawValue
        self.addresses = addresses
        self.incarnation = incarnation
        self.coordinatorOf = coordinatorOf
    }
}
