/// Every bound that nodes and coordinators share, with its unit in its name. `LimitsTests` holds their relations.
public enum Limits {
    /// The block that data moves in: the largest of the LUN's logical block, the file system's sector
    /// and block, and the page. A volume whose blocks differ is refused.
    public static let blockSizeBytes: UInt64 = 4096
    /// The largest payload of one read or write, of the kernel's and of ours.
    public static let payloadMaximumBytes = 1 << 20
    /// The largest message without its payload.
    public static let messageMaximumBytes = 1 << 20
    /// `NAME_MAX`.
    public static let nameMaximumBytes = 255
    /// `PATH_MAX`, less the terminating NUL.
    public static let symbolicLinkMaximumBytes = 4095
    /// `XATTR_SIZE_MAX`.
    public static let extendedAttributeMaximumBytes = 65536
    /// The most extents that one grant carries.
    public static let extentsPerGrantMaximum = 4096
    /// The most bytes of directory entries in one answer.
    public static let directoryPageMaximumBytes = 128 << 10
    /// The most locks of one volume.
    public static let locksMaximum = 1 << 20
    /// The most opens of one node on one volume.
    public static let opensPerSessionMaximum = 1 << 20
    /// The most requests of one node that a coordinator holds at once.
    public static let requestsPerSessionMaximum = 4096
    /// How many operations that may happen only once a node has under way at a time (rule once).
    public static let slotsPerSession = 64
    /// The most ranges in one reclaim of a file's layouts.
    public static let rangesPerReclaimMaximum = 4096
    /// The most inodes whose metadata one node is granted at a time: beyond, the oldest are recalled.
    public static let metadataGrantsPerSessionMaximum = 1 << 16
    /// The most names and attributes that a node keeps of one volume.
    public static let metadataEntriesMaximum = 1 << 16
}
