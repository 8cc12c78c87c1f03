import VolumeModel

/// What direct I/O was.
public enum PathOperation: Hashable, Sendable {
    case read
    case write
    case flush
}

/// How a direct operation goes on that failed, or did not end in its time.
public enum PathVerdict: Hashable, Sendable {
    /// Through the coordinator, at once.
    case redirect
    /// It may still land: it waits for ``PathAction/settle``.
    case wait
    /// Its caller gets the error.
    case fail
}

/// What a block of the LUN said, read through a fresh descriptor.
public enum PathProbe: Hashable, Sendable {
    case reads
    /// A reservation conflict: the path works, but its key is gone.
    case isFenced
    case fails
}

/// What happens to a node's path to its LUN.
public enum PathEvent: Hashable, Sendable {
    /// Time has passed. How many direct reads and writes the kernel has not ended, of those that were
    /// sent before the path was lost.
    case tick(inFlight: Int)
    /// A write that was overdue ended well after all.
    case landed
    /// Somebody else knows that the path is gone.
    case reportedLost
    case fenced(isProven: Bool)
    case probed(PathProbe)
    case restored(Bool)
    case opened(Bool)
    /// The reasons for which the whole volume is redirected.
    case redirected(Set<RedirectReason>)
    /// Only the node's lease protects the volume, and it has lapsed; or it is there again.
    case suspended(Bool)
}

/// What the shell has to do.
public enum PathAction: Hashable, Sendable {
    /// Have another node prove that nothing this path has sent can land any more; then `fenced`.
    case fence
    /// That is proven: whatever waited for it goes to the coordinator.
    case settle
    /// Read a block through a fresh descriptor; then `probed`.
    case probe
    /// Register a new key on the path; then `restored`.
    case restore
    /// Open the path anew and read a block; then `opened`.
    case open
    /// From now on I/O is direct, through the path that was opened last.
    case startDirect
    /// No new direct I/O from now on; growths go back to the coordinator.
    case stopDirect
}

/// How long a path's parts wait, in nanoseconds.
public struct PathTimings: Hashable, Sendable {
    public var probeNanoseconds: UInt64 = 1_000_000_000
    /// The longest wait before a path that keeps failing is probed.
    public var probeMaximumNanoseconds: UInt64 = 32_000_000_000
    /// A path that fails within this time after it came back is left alone longer each time.
    public var steadyNanoseconds: UInt64 = 10_000_000_000
    public var fenceRetryNanoseconds: UInt64 = 1_000_000_000
    /// How long the I/O of the lost path may take to end once the path answers again; then it is
    /// aborted.
    public var drainNanoseconds: UInt64 = 5_000_000_000

    public init() {}
}
