import VolumeModel

/// Who creates a file: its owner, and the umask that counts where the parent has no default ACL.
public struct Creator: Hashable, Sendable {
    public var userID: UInt32
    public var groupID: UInt32
    public var umask: UInt32

    public init(userID: UInt32, groupID: UInt32, umask: UInt32) {
        self.userID = userID
        self.groupID = groupID
        self.umask = umask
    }
}

/// A name in a directory.
public struct NameInDirectory: Hashable, Sendable {
    public var parent: FileHandle
    /// 1 to 255 bytes.
    public var name: [UInt8]

    public init(parent: FileHandle, name: [UInt8]) {
        self.parent = parent
        self.name = name
    }
}

/// A node's own number for one open of a file: its FUSE file handle.
public struct OpenID: Hashable, Sendable {
    public var number: UInt64

    public init(_ number: UInt64) { self.number = number }
}

/// How long ago a node last wrote a file directly without having told, in nanoseconds.
public typealias WriteAgeNanoseconds = UInt64

/// What a node gives back with a layout, or tells when it is asked (DESIGN: times and set-id, growth).
public struct WriteReport: Hashable, Sendable {
    /// Nil where nothing was written directly since the last report.
    public var ageNanoseconds: WriteAgeNanoseconds?
    /// Where the node held the file's growth: the size that it has reached. The coordinator cuts the
    /// file to it.
    public var grownSizeBytes: UInt64?
    /// With a file's last close: the end of what was filled for this node, which it never wrote.
    public var unusedFill: UnusedFill?

    public init(
        ageNanoseconds: WriteAgeNanoseconds? = nil, grownSizeBytes: UInt64? = nil,
        unusedFill: UnusedFill? = nil
    ) {
        self.ageNanoseconds = ageNanoseconds
        self.grownSizeBytes = grownSizeBytes
        self.unusedFill = unusedFill
    }

    public var isEmpty: Bool {
        ageNanoseconds == nil && grownSizeBytes == nil && unusedFill == nil
    }
}

/// Zeros that a coordinator wrote ahead of a node's writes, and that the node did not need.
public struct UnusedFill: Hashable, Sendable {
    public var range: ByteRange
    /// Of the last fill that this node was granted: a later one makes this old news.
    public var generation: LayoutGeneration

    public init(range: ByteRange, generation: LayoutGeneration) {
        self.range = range
        self.generation = generation
    }
}

/// A request of a node's to a coordinator, see `docs/protocol.md`.
public enum Operation: Hashable, Sendable {
    /// The volume's root directory.
    case root
    case lookup(NameInDirectory)
    case attributes(FileHandle)
    case setAttributes(FileHandle, AttributeChange)
    case readLink(FileHandle)
    /// Creates a regular file and opens it; an existing one is opened unless `exclusive`.
    case create(NameInDirectory, mode: UInt32, Creator, open: OpenID, exclusive: Bool)
    /// A file without a name, in a directory's file system (`O_TMPFILE`), opened.
    case createUnnamed(FileHandle, mode: UInt32, Creator, open: OpenID)
    case makeNode(
        NameInDirectory, mode: UInt32, deviceMajor: UInt32, deviceMinor: UInt32, Creator)
    case makeDirectory(NameInDirectory, mode: UInt32, Creator)
    case makeSymbolicLink(NameInDirectory, target: [UInt8], Creator)
    case link(FileHandle, NameInDirectory)
    case unlink(NameInDirectory)
    case removeDirectory(NameInDirectory)
    /// `flags` are those of renameat2(2).
    case rename(NameInDirectory, to: NameInDirectory, flags: UInt32)
    case open(FileHandle, OpenID)
    /// Drops the open, every lock taken through it, and, with a file's last open, the node's layouts.
    case release(FileHandle, OpenID, WriteReport)
    /// `cookie` 0 is the start.
    case readDirectory(FileHandle, cookie: Int64, maximumBytes: UInt32, withAttributes: Bool)
    case statistics
    case extendedAttribute(FileHandle, name: [UInt8])
    /// `flags` are those of setxattr(2).
    case setExtendedAttribute(FileHandle, name: [UInt8], value: [UInt8], flags: UInt32)
    case extendedAttributes(FileHandle)
    case removeExtendedAttribute(FileHandle, name: [UInt8])
    /// `mode` is that of fallocate(2).
    case allocate(FileHandle, mode: UInt32, ByteRange)
    case seek(FileHandle, offsetBytes: UInt64, SeekTarget)
    case copyRange(
        FileHandle, sourceOffsetBytes: UInt64, to: FileHandle, targetOffsetBytes: UInt64,
        lengthBytes: UInt64)
    case synchronize(FileHandle)
    case lock(LockRequest)
    case testLock(LockRequest)
    /// Ends the wait of an earlier `lock`, which then answers EINTR.
    case cancelLock(sequence: UInt64)
    /// Drops every POSIX lock of an owner on a file (a close by that process).
    case unlockOwner(FileHandle, owner: UInt64)
    case layoutGet(FileHandle, ByteRange)
    /// Asks to write beyond the end of the file directly, see ``OperationResult/growth(_:)``.
    case layoutGrow(FileHandle, ByteRange)
    /// Asks to write where the file has a hole or unwritten blocks within its size: they are zeroed,
    /// and the answer is their layout.
    case layoutFill(FileHandle, ByteRange)
    /// Gives back the layouts over a range (`everything`: all of them and the growth).
    case layoutReturn(FileHandle, ByteRange, WriteReport)
    case read(FileHandle, ByteRange)
    /// The bytes are the message's payload.
    case write(FileHandle, offsetBytes: UInt64, WriteFlags)
    /// In a new coordinator's grace: the layouts of a file that this node holds since the epoch
    /// before. A map that knows the end of the file reaches to the largest offset. Fails with ESTALE
    /// where the grace is over, or where the growth is no longer this node's: the node then drops what
    /// it holds of the file.
    case reclaimLayout(FileHandle, [ByteRange], growth: GrowthClaim?)
    /// In grace: a lock that this node holds since the epoch before. It never waits.
    case reclaimLock(LockRequest)
    /// This node has told everything that it holds: it needs no grace any more.
    case reclaimed
}

/// A growth that a node holds over a change of coordinator.
public struct GrowthClaim: Hashable, Sendable {
    /// The file's size that everybody else is shown.
    public var visibleSizeBytes: UInt64
    /// How far the file was lengthened for the growth.
    public var allocatedEndBytes: UInt64

    public init(visibleSizeBytes: UInt64, allocatedEndBytes: UInt64) {
        self.visibleSizeBytes = visibleSizeBytes
        self.allocatedEndBytes = allocatedEndBytes
    }
}

public enum SeekTarget: UInt8, Hashable, Sendable {
    case data = 3
    case hole = 4
}

public struct WriteFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// At the end of the file, wherever that is; the offset does not count.
    public static let append = WriteFlags(rawValue: 1)
    /// Clears set-user-ID, set-group-ID and capabilities first.
    public static let clearsSetID = WriteFlags(rawValue: 2)
    /// `O_DSYNC`: durable before the reply.
    public static let durable = WriteFlags(rawValue: 4)
}
