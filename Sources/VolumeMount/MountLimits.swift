import VolumeModel

/// The bounds of a mount's own making.
enum MountLimits {
    /// A write that lengthens a file goes directly from this size on; smaller ones travel with their
    /// data, which costs one round trip instead of three.
    static let growthMinimumBytes = Int(Limits.blockSizeBytes)
    /// The most that a growth is asked for ahead of what is written.
    static let growthAheadMaximumBytes: UInt64 = 8 << 20
    /// A layout is asked for from where it is missing on; the coordinator grants as much as one
    /// message carries.
    static let layoutAheadBytes: UInt64 = 1 << 40
    /// How many requests may wait for a layout in their slots; fewer than one worker has.
    static let parkedInSlotsMaximum = 48
    /// How many bytes of requests may be with the coordinator without a slot.
    static let detachedMaximumBytes = 64 << 20
    /// Of how many open directories a piece is kept, of at most 32 KiB of names each.
    static let directoryPiecesMaximum = 256
    /// How many requests at a time tell a new coordinator what is held.
    static let reclaimsMaximum = 64

    // MARK: Time, in ticks of the watch

    static let tickMilliseconds: UInt32 = 250
    private static let ticksPerSecond: UInt32 = 4
    /// A direct read that takes longer is redirected, and its path is lost.
    static let directReadPatienceSeconds: UInt32 = 2
    /// A direct write that takes longer needs a proof that it cannot land any more. One on a lost path
    /// gets a read's time.
    static let directWritePatienceSeconds: UInt32 = 4
    /// The same, where a recall waits for it.
    static let recallPatienceSeconds: UInt32 = 3
    /// A flush that takes longer is left to the coordinator, and its path is lost.
    static let flushPatienceSeconds: UInt32 = 10
    /// A probe that takes longer is left behind.
    static let probePatienceSeconds: UInt32 = 5
    /// The most probes that hang, each with its thread.
    static let probesMaximum = 4

    static let directReadPatienceTicks = directReadPatienceSeconds * ticksPerSecond
    static let directWritePatienceTicks = directWritePatienceSeconds * ticksPerSecond
    static let recallPatienceTicks = recallPatienceSeconds * ticksPerSecond
    static let flushPatienceTicks = flushPatienceSeconds * ticksPerSecond
    static let probePatienceTicks = probePatienceSeconds * ticksPerSecond
}
