import VolumeModel

/// How a node reaches a volume's data, and why.
public struct MountState: Hashable, Sendable {
    public var state: AccessState
    /// All reasons that hold at present; none while the state is direct.
    public var reasons: Set<RedirectReason>
    /// What I/O waits for that cannot be redirected yet.
    public var waitingFor: String?

    public init(
        state: AccessState, reasons: Set<RedirectReason> = [], waitingFor: String? = nil
    ) {
        self.state = state
        self.reasons = reasons
        self.waitingFor = waitingFor
    }
}
