import VolumeModel

/// Fills the answer of a READDIR or READDIRPLUS, up to the size that was asked for.
public struct FUSEDirectoryBuilder: Sendable {
    /// Each entry carries what a lookup would tell.
    public let isPlus: Bool
    public let capacityBytes: Int
    private var encoder: FUSEEncoder

    /// `sizeBytes` is the request's; never more than ``Limits/directoryPageMaximumBytes`` is used.
    public init(sizeBytes: UInt32, isPlus: Bool) {
        self.isPlus = isPlus
        capacityBytes = min(Int(sizeBytes), Limits.directoryPageMaximumBytes)
        encoder = FUSEEncoder(capacity: min(capacityBytes, 4096))
    }

    public var bytes: [UInt8] { encoder.bytes }
    public var isEmpty: Bool { encoder.bytes.isEmpty }

    /// Whether a name of this length still fits. Ask before a lookup is counted for it.
    public func hasRoom(nameLengthBytes: Int) -> Bool {
        encoder.bytes.count + sizeBytes(nameLengthBytes: nameLengthBytes) <= capacityBytes
    }

    /// Appends an entry; false, and nothing appended, where it does not fit.
    ///
    /// - Parameter lookup: for READDIRPLUS, what the name stands for; it counts as a lookup of that
    ///   node, which the kernel will forget. Nil for `.` and `..`, and for what the kernel shall look
    ///   up itself. Must be nil for READDIR.
    public mutating func add(_ entry: DirectoryEntry, lookup: FUSEEntry? = nil) -> Bool {
        precondition(isPlus || lookup == nil, "READDIR carries no lookups")
        guard hasRoom(nameLengthBytes: entry.name.count) else { return false }
        if isPlus { encoder.entry(lookup) }
        encoder.u64(entry.inode)
        encoder.u64(UInt64(bitPattern: entry.nextCookie))
        encoder.u32(UInt32(entry.name.count))
        encoder.u32(UInt32(entry.kind?.directoryEntryType ?? 0))
        encoder.raw(entry.name)
        encoder.zeros((8 - entry.name.count % 8) % 8)
        return true
    }

    /// What an entry with a name of this length takes: `FUSE_DIRENT_SIZE`, `FUSE_DIRENTPLUS_SIZE`.
    public func sizeBytes(nameLengthBytes: Int) -> Int {
        (isPlus ? 128 : 0) + 24 + (nameLengthBytes + 7) / 8 * 8
    }
}
