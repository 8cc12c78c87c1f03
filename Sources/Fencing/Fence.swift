/// How a volume's nodes are fenced: one rung of the ladder, chosen when the volume is added.
public enum Fence: Sendable, Equatable {
    /// SCSI-3 persistent reservations of the LUN.
    case reservations
    /// A power fence: an agent for each node, by its name.
    case agents([String: FenceAgent])
    /// Lease and watchdog, with the full wait.
    case watchdog(waitSeconds: Double)
    /// None: a node that does not answer keeps what it holds until the operator says otherwise.
    case none

    public var kind: FenceKind {
        switch self {
        case .reservations: .reservations
        case .agents: .agent
        case .watchdog: .watchdog
        case .none: .none
        }
    }
}

/// The rung's name in records, states and events.
public enum FenceKind: String, Sendable, CaseIterable, Codable {
    case reservations
    case agent
    case watchdog
    case none
}
