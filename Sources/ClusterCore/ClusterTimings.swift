/// The times that the members of a cluster count by, all in nanoseconds. Clocks are CLOCK_BOOTTIME,
/// which also counts while a machine sleeps.
public struct ClusterTimings: Hashable, Sendable {
    /// How long a membership lasts from the sending of its last renewal.
    public var leaseNanoseconds: UInt64
    public var renewalNanoseconds: UInt64
    /// From when on, after the last renewal, a node whose writes only the lease stops uses no path.
    public var directStopNanoseconds: UInt64
    /// How long the second-best candidate for a lost coordinator waits for the best, and so on.
    public var candidateNanoseconds: UInt64
    /// Before something that failed is tried again.
    public var retryNanoseconds: UInt64
    /// How long a member may owe the answer to a recall before its path is cut: longer than it takes
    /// to find out by itself that its path hangs.
    public var recallNanoseconds: UInt64
    /// The same, before the node is cut off as if it were lost.
    public var silenceNanoseconds: UInt64

    public init(
        leaseNanoseconds: UInt64 = 10_000_000_000, renewalNanoseconds: UInt64 = 2_000_000_000,
        directStopNanoseconds: UInt64 = 7_000_000_000,
        candidateNanoseconds: UInt64 = 3_000_000_000, retryNanoseconds: UInt64 = 1_000_000_000,
        recallNanoseconds: UInt64 = 10_000_000_000, silenceNanoseconds: UInt64 = 40_000_000_000
    ) {
        precondition(recallNanoseconds < silenceNanoseconds, "the path is cut before the node")
        precondition(renewalNanoseconds < directStopNanoseconds, "a renewal comes before the stop")
        precondition(directStopNanoseconds < leaseNanoseconds, "direct I/O stops before the lease")
        self.leaseNanoseconds = leaseNanoseconds
        self.renewalNanoseconds = renewalNanoseconds
        self.directStopNanoseconds = directStopNanoseconds
        self.candidateNanoseconds = candidateNanoseconds
        self.retryNanoseconds = retryNanoseconds
        self.recallNanoseconds = recallNanoseconds
        self.silenceNanoseconds = silenceNanoseconds
    }
}
