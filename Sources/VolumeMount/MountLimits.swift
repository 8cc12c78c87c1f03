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
}
