import VolumeModel

/// Who asks, and about which node: from `struct fuse_in_header`.
public struct FUSEContext: Sendable {
    /// Names the request until it is answered. Even; an INTERRUPT has a number of its own.
    public var unique: UInt64
    /// The node that the request is about; 1 is the root.
    public var nodeID: UInt64
    public var userID: UInt32
    public var groupID: UInt32
    /// The calling thread, in the pid namespace of the mount's owner; 0 where it has none there.
    public var processID: UInt32

    public init(
        unique: UInt64, nodeID: UInt64, userID: UInt32, groupID: UInt32, processID: UInt32
    ) {
        self.unique = unique
        self.nodeID = nodeID
        self.userID = userID
        self.groupID = groupID
        self.processID = processID
    }
}

/// Every request but reads and writes, with copies of its names and values (`linux/fuse.h`).
/// Names are 1 to 255 bytes without `/` and NUL. Flags are the kernel's own.
public enum FUSERequest: Sendable {
    case lookup(name: [UInt8])
    /// No reply.
    case forget(count: UInt64)
    /// No reply.
    case batchForget([(nodeID: UInt64, count: UInt64)])
    case getattr(handle: UInt64?)
    case setattr(FUSESetAttribute)
    case readlink
    case symlink(name: [UInt8], target: [UInt8])
    case mknod(name: [UInt8], mode: UInt32, device: FUSEDevice, umask: UInt32)
    case mkdir(name: [UInt8], mode: UInt32, umask: UInt32)
    case unlink(name: [UInt8])
    case rmdir(name: [UInt8])
    /// `flags` as in renameat2(2).
    case rename(name: [UInt8], newParent: UInt64, newName: [UInt8], flags: UInt32)
    case link(oldNode: UInt64, newName: [UInt8])
    /// `openFlags`: ``FUSEOpenRequestFlags``.
    case open(flags: UInt32, openFlags: UInt32)
    case create(name: [UInt8], flags: UInt32, mode: UInt32, umask: UInt32, openFlags: UInt32)
    case tmpfile(flags: UInt32, mode: UInt32, umask: UInt32, openFlags: UInt32)
    /// `releaseFlags`: ``FUSEReleaseFlags``.
    case release(handle: UInt64, flags: UInt32, releaseFlags: UInt32, lockOwner: UInt64)
    case opendir(flags: UInt32)
    case releasedir(handle: UInt64, flags: UInt32)
    case readdir(handle: UInt64, offset: UInt64, size: UInt32)
    case readdirplus(handle: UInt64, offset: UInt64, size: UInt32)
    case fsync(handle: UInt64, dataOnly: Bool)
    case fsyncdir(handle: UInt64, dataOnly: Bool)
    case flush(handle: UInt64, lockOwner: UInt64)
    case statfs
    /// `size` 0 asks for the value's size only.
    case getxattr(name: [UInt8], size: UInt32)
    /// `flags` as in setxattr(2); `setxattrFlags` bit 0: clear the set-group-ID bit.
    case setxattr(name: [UInt8], value: [UInt8], flags: UInt32, setxattrFlags: UInt32)
    case listxattr(size: UInt32)
    case removexattr(name: [UInt8])
    case access(mask: UInt32)
    case getlk(FUSELock)
    case setlk(FUSELock)
    case setlkw(FUSELock)
    /// `mode` as in fallocate(2).
    case fallocate(handle: UInt64, offset: UInt64, length: UInt64, mode: UInt32)
    /// `whence` is SEEK_DATA (3) or SEEK_HOLE (4).
    case lseek(handle: UInt64, offset: UInt64, whence: UInt32)
    case copyFileRange(FUSECopyRange)
    /// `flags` and `mask` as in statx(2).
    case statx(handle: UInt64?, flags: UInt32, mask: UInt32)
    case syncfs
    /// Someone wants request `unique` to end early (a signal). It comes after that request was
    /// received, perhaps after it was answered. Answer the request, then this with
    /// ``FUSEReplyPort/none()``; where it is not known or cannot end early, only the latter.
    /// (`tryAgain` has the kernel send it again at once, as long as the request lives.)
    case interrupt(unique: UInt64)
    case ioctl(FUSEIoctl)
    case poll(handle: UInt64, wakeupID: UInt64, flags: UInt32, events: UInt32)
    case bmap(block: UInt64, blockSizeBytes: UInt32)
    case destroy
    /// Answer `notImplemented`: the kernel remembers it.
    case unknown(opcode: UInt32)
}

/// A device number, taken apart.
public struct FUSEDevice: Hashable, Sendable {
    public var major: UInt32
    public var minor: UInt32

    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

/// What a SETATTR asks (`struct fuse_setattr_in`).
public struct FUSESetAttribute: Sendable {
    public var change: AttributeChange
    /// Set with a write-back cache only.
    public var changeTime: Timestamp?
    /// The open file that ftruncate(2) or futimens(2) was called on.
    public var handle: UInt64?
    public var lockOwner: UInt64?

    public init(
        change: AttributeChange, changeTime: Timestamp? = nil, handle: UInt64? = nil,
        lockOwner: UInt64? = nil
    ) {
        self.change = change
        self.changeTime = changeTime
        self.handle = handle
        self.lockOwner = lockOwner
    }
}

public enum FUSELockType: UInt32, Sendable {
    case read = 0
    case write = 1
    case unlock = 2
}

/// A lock of fcntl(2) or flock(2).
public struct FUSELock: Hashable, Sendable {
    public var handle: UInt64
    /// Stands for the process (POSIX) or for the open file (OFD, flock).
    public var owner: UInt64
    /// The first byte.
    public var start: UInt64
    /// The last byte, not the one after it; 2⁶³ - 1 means "to the end, whatever the size".
    public var end: UInt64
    public var type: FUSELockType
    public var pid: UInt32
    /// By flock(2): the whole file.
    public var isFlock: Bool

    public init(
        handle: UInt64, owner: UInt64, start: UInt64, end: UInt64, type: FUSELockType, pid: UInt32,
        isFlock: Bool
    ) {
        self.handle = handle
        self.owner = owner
        self.start = start
        self.end = end
        self.type = type
        self.pid = pid
        self.isFlock = isFlock
    }
}

/// copy_file_range(2); the source is the context's node.
public struct FUSECopyRange: Hashable, Sendable {
    public var handle: UInt64
    public var offset: UInt64
    public var destinationNode: UInt64
    public var destinationHandle: UInt64
    public var destinationOffset: UInt64
    public var length: UInt64
    public var flags: UInt64

    public init(
        handle: UInt64, offset: UInt64, destinationNode: UInt64, destinationHandle: UInt64,
        destinationOffset: UInt64, length: UInt64, flags: UInt64
    ) {
        self.handle = handle
        self.offset = offset
        self.destinationNode = destinationNode
        self.destinationHandle = destinationHandle
        self.destinationOffset = destinationOffset
        self.length = length
        self.flags = flags
    }
}

/// ioctl(2) with a command whose number says its sizes.
public struct FUSEIoctl: Sendable {
    public var handle: UInt64
    public var flags: UInt32
    public var command: UInt32
    public var argument: UInt64
    public var input: [UInt8]
    public var outputSizeBytes: UInt32

    public init(
        handle: UInt64, flags: UInt32, command: UInt32, argument: UInt64, input: [UInt8],
        outputSizeBytes: UInt32
    ) {
        self.handle = handle
        self.flags = flags
        self.command = command
        self.argument = argument
        self.input = input
        self.outputSizeBytes = outputSizeBytes
    }
}
