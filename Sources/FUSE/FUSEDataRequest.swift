/// A READ (`struct fuse_read_in`).
public struct FUSEReadRequest: Sendable {
    public var handle: UInt64
    public var offsetBytes: UInt64
    /// At most the mount's largest read.
    public var sizeBytes: UInt32
    /// The file's open flags, as of now.
    public var flags: UInt32
    public var lockOwner: UInt64?

    public init(
        handle: UInt64, offsetBytes: UInt64, sizeBytes: UInt32, flags: UInt32, lockOwner: UInt64?
    ) {
        self.handle = handle
        self.offsetBytes = offsetBytes
        self.sizeBytes = sizeBytes
        self.flags = flags
        self.lockOwner = lockOwner
    }
}

/// A WRITE (`struct fuse_write_in`). Its payload lies in the slot's buffer.
public struct FUSEWriteRequest: Sendable {
    public var handle: UInt64
    public var offsetBytes: UInt64
    /// At most the mount's largest write.
    public var sizeBytes: UInt32
    /// The file's open flags, as of now: O_APPEND, O_DSYNC, O_SYNC.
    public var flags: UInt32
    /// ``FUSEWriteFlags``.
    public var writeFlags: UInt32
    public var lockOwner: UInt64?

    public init(
        handle: UInt64, offsetBytes: UInt64, sizeBytes: UInt32, flags: UInt32, writeFlags: UInt32,
        lockOwner: UInt64?
    ) {
        self.handle = handle
        self.offsetBytes = offsetBytes
        self.sizeBytes = sizeBytes
        self.flags = flags
        self.writeFlags = writeFlags
        self.lockOwner = lockOwner
    }
}
