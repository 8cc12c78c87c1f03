import VolumeModel

/// How one node reaches one volume: a row of `covol volume state`.
public struct VolumeNodeState: Codable, Sendable, Equatable {
    public var volume: String
    public var node: String
    /// Nil while the volume has none.
    public var coordinator: String?
    /// An `AccessState`'s raw value. A string, so that an older client shows a newer daemon's words.
    public var state: String
    /// Why the state is not Direct; nil where it is.
    public var reason: String?

    public init(
        volume: String, node: String, coordinator: String?, state: AccessState, reason: String?
    ) {
        self.volume = volume
        self.node = node
        self.coordinator = coordinator
        self.state = state.rawValue
        self.reason = reason
    }

    /// With one of the reasons that the volume model knows.
    public init(
        volume: String, node: String, coordinator: String?, state: AccessState,
        reason: RedirectReason
    ) {
        self.init(
            volume: volume, node: node, coordinator: coordinator, state: state,
            reason: reason.rawValue)
    }

    /// Absent values are written as null, so that every object has the same fields.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(volume, forKey: .volume)
        try container.encode(node, forKey: .node)
        try container.encode(coordinator, forKey: .coordinator)
        try container.encode(state, forKey: .state)
        try container.encode(reason, forKey: .reason)
    }
}
