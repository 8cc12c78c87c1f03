import VolumeModel

/// How one node reaches one volume: a row of `covol volume state`.
public struct VolumeNodeState: Codable, Sendable, Equatable {
    public var volume: String
    public var node: String
    /// Nil while the volume has none.
    public var coordinator: String?
    /// An `AccessState`'s raw value. A string, so that an older client shows a newer daemon's
    /// words.
    public var state: String
    /// Why the state is not Direct, the first of `reasons`; nil where it is.
    public var reason: String?
    /// Every reason; it is direct again when the last one is gone.
    public var reasons: [String]
    /// What the node waits for, or what the operator said, in words; nil for nothing.
    public var detail: String?

    /// - Parameter reasons: nil stands for `reason` alone.
    public init(
        volume: String, node: String, coordinator: String?, state: AccessState, reason: String?,
        reasons: [String]? = nil, detail: String? = nil
    ) {
        self.volume = volume
        self.node = node
        self.coordinator = coordinator
        self.state = state.rawValue
        self.reasons = reasons ?? reason.map { [$0] } ?? []
        self.reason = reason ?? self.reasons.first
        self.detail = detail
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
        try container.encode(reasons, forKey: .reasons)
        try container.encode(detail, forKey: .detail)
    }
}
