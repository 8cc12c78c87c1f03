import VolumeModel

/// How long a node may take itself for a member. A renewal counts from when it was *sent*: its answer
/// may have travelled for any time, and the store counts from no later (rule lease-from-send).
public struct MembershipLease: Sendable {
    private let timings: ClusterTimings
    private let rules: SafetyRules
    /// When the last renewal that succeeded was sent; nil: no lease.
    private var startNanoseconds: UInt64?

    public init(timings: ClusterTimings = ClusterTimings(), rules: SafetyRules = .all) {
        self.timings = timings
        self.rules = rules
    }

    /// A grant or renewal that was sent at `sentNanoseconds` has been answered at `nowNanoseconds`.
    public mutating func renewed(sentNanoseconds: UInt64, nowNanoseconds: UInt64) {
        let start = rules.contains(.leaseFromSend) ? sentNanoseconds : nowNanoseconds
        startNanoseconds = max(startNanoseconds ?? 0, start)
    }

    /// The store says that the lease is over.
    public mutating func ended() { startNanoseconds = nil }

    /// The node is a member: nobody else may have been told that it is not.
    public func isValid(nowNanoseconds: UInt64) -> Bool {
        isWithin(timings.leaseNanoseconds, nowNanoseconds)
    }

    /// Direct I/O may go on where nothing but the lease protects the volume.
    public func coversDirect(nowNanoseconds: UInt64) -> Bool {
        isWithin(timings.directStopNanoseconds, nowNanoseconds)
    }

    /// Until when direct I/O may go on where nothing but the lease protects the volume; nil: no lease.
    public var directEndNanoseconds: UInt64? {
        startNanoseconds.map { $0 &+ timings.directStopNanoseconds }
    }

    /// Until when the node is a member; nil: no lease.
    public var endNanoseconds: UInt64? { startNanoseconds.map { $0 &+ timings.leaseNanoseconds } }

    private func isWithin(_ length: UInt64, _ now: UInt64) -> Bool {
        guard let startNanoseconds else { return false }
        return now < startNanoseconds &+ length
    }
}
