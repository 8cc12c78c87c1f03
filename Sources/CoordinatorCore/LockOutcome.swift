/// What became of a lock request.
public enum LockOutcome: Hashable, Sendable {
    /// Held now, or given up where the request was to unlock.
    case granted
    /// Another's lock stands in the way and the request does not wait: EAGAIN.
    case conflict
    /// Waits; its token comes back among the granted ones of a later call.
    case waiting
    /// Waiting would never end: EDEADLK.
    case deadlock
    /// The table is full: ENOLCK.
    case tooMany
}

/// What giving up locks or waits did.
public struct LockRelease: Hashable, Sendable {
    /// The waiting requests that got their locks, in order.
    public var grantedTokens: [UInt64] = []
    /// The waiting requests that ended without one: EINTR.
    public var endedTokens: [UInt64] = []

    public init() {}
}
