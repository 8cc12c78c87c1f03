/// What kind of file an inode is; the raw values are those of `S_IFMT` in `mode`, see inode(7).
public enum FileKind: UInt32, Sendable, CaseIterable {
    case fifo = 0o010000
    case characterDevice = 0o020000
    case directory = 0o040000
    case blockDevice = 0o060000
    case regular = 0o100000
    case symbolicLink = 0o120000
    case socket = 0o140000

    /// The mask of the kind within a mode (`S_IFMT`).
    public static let mask: UInt32 = 0o170000

    /// The `d_type` of a directory entry, see readdir(3).
    public var directoryEntryType: UInt8 { UInt8(rawValue >> 12) }

    public init?(directoryEntryType: UInt8) {
        self.init(rawValue: UInt32(directoryEntryType) << 12)
    }
}

/// A point in time since the Unix epoch.
public struct Timestamp: Hashable, Sendable, Comparable {
    public var seconds: Int64
    /// 0 to 999 999 999.
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

/// A file's attributes, as statx(2) tells them on the coordinator's mount.
public struct FileAttributes: Hashable, Sendable {
    public var inode: UInt64
    public var sizeBytes: UInt64
    /// Allocated space in units of 512 bytes, as `st_blocks`.
    public var blocks512: UInt64
    public var accessTime: Timestamp
    public var modificationTime: Timestamp
    public var changeTime: Timestamp
    /// Kind and permissions, as `st_mode`.
    public var mode: UInt32
    public var linkCount: UInt32
    public var userID: UInt32
    public var groupID: UInt32
    public var deviceMajor: UInt32
    public var deviceMinor: UInt32
    public var blockSizeBytes: UInt32

    public init(
        inode: UInt64, sizeBytes: UInt64, blocks512: UInt64, accessTime: Timestamp,
        modificationTime: Timestamp, changeTime: Timestamp, mode: UInt32, linkCount: UInt32,
        userID: UInt32, groupID: UInt32, deviceMajor: UInt32, deviceMinor: UInt32,
        blockSizeBytes: UInt32
    ) {
        self.inode = inode
        self.sizeBytes = sizeBytes
        self.blocks512 = blocks512
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.changeTime = changeTime
        self.mode = mode
        self.linkCount = linkCount
        self.userID = userID
        self.groupID = groupID
        self.deviceMajor = deviceMajor
        self.deviceMinor = deviceMinor
        self.blockSizeBytes = blockSizeBytes
    }

    /// Nil for a mode that no Linux file has.
    public var kind: FileKind? { FileKind(rawValue: mode & FileKind.mask) }
}

/// How a time is set, see utimensat(2).
public enum TimeChange: Hashable, Sendable {
    case now
    case to(Timestamp)
}

/// What a setattr changes; nil leaves a value as it is.
public struct AttributeChange: Hashable, Sendable {
    /// Permission bits, without the kind.
    public var mode: UInt32?
    public var userID: UInt32?
    public var groupID: UInt32?
    public var sizeBytes: UInt64?
    public var accessTime: TimeChange?
    public var modificationTime: TimeChange?
    /// The caller may not keep set-user-ID and set-group-ID bits (`FATTR_KILL_SUIDGID`).
    public var clearsSetID = false

    public init() {}
}

/// One name in a directory.
public struct DirectoryEntry: Hashable, Sendable {
    /// 1 to 255 bytes, neither `/` nor NUL among them.
    public var name: [UInt8]
    public var inode: UInt64
    public var kind: FileKind?
    /// Where the next entry is read from: the file system's own `d_off`.
    public var nextCookie: Int64

    public init(name: [UInt8], inode: UInt64, kind: FileKind?, nextCookie: Int64) {
        self.name = name
        self.inode = inode
        self.kind = kind
        self.nextCookie = nextCookie
    }
}

/// What statfs(2) tells of a volume.
public struct FileSystemStatistics: Hashable, Sendable {
    public var blocks: UInt64
    public var blocksFree: UInt64
    public var blocksAvailable: UInt64
    public var files: UInt64
    public var filesFree: UInt64
    public var blockSizeBytes: UInt32
    public var nameLengthMaximum: UInt32

    public init(
        blocks: UInt64, blocksFree: UInt64, blocksAvailable: UInt64, files: UInt64,
        filesFree: UInt64, blockSizeBytes: UInt32, nameLengthMaximum: UInt32
    ) {
        self.blocks = blocks
        self.blocksFree = blocksFree
        self.blocksAvailable = blocksAvailable
        self.files = files
        self.filesFree = filesFree
        self.blockSizeBytes = blockSizeBytes
        self.nameLengthMaximum = nameLengthMaximum
    }
}
