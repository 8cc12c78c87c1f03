import VolumeModel

public enum LockKind: UInt8, Hashable, Sendable {
    /// POSIX and OFD record locks, fcntl_locking(2).
    case record = 0
    /// flock(2): the whole file.
    case flock = 1
}

public enum LockType: UInt8, Hashable, Sendable {
    case read = 0
    case write = 1
    case unlock = 2
}

/// A lock asked for, or held.
public struct LockRequest: Hashable, Sendable {
    public var file: FileHandle
    public var open: OpenID
    /// The kernel's own number of the owner, unique on its node only.
    public var owner: UInt64
    public var kind: LockKind
    public var type: LockType
    public var startBytes: UInt64
    /// Inclusive; `Int64.max` is the end of the file, however it grows.
    public var lastBytes: UInt64
    /// For the answer of a test on the same node.
    public var processID: UInt32
    public var waits: Bool

    public init(
        file: FileHandle, open: OpenID, owner: UInt64, kind: LockKind, type: LockType,
        startBytes: UInt64, lastBytes: UInt64, processID: UInt32, waits: Bool
    ) {
        self.file = file
        self.open = open
        self.owner = owner
        self.kind = kind
        self.type = type
        self.startBytes = startBytes
        self.lastBytes = lastBytes
        self.processID = processID
        self.waits = waits
    }
}

/// The lock that stands in another's way.
public struct LockConflict: Hashable, Sendable {
    public var type: LockType
    public var startBytes: UInt64
    public var lastBytes: UInt64
    /// 0 where the holder is a process of another node.
    public var processID: UInt32

    public init(type: LockType, startBytes: UInt64, lastBytes: UInt64, processID: UInt32) {
        self.type = type
        self.startBytes = startBytes
        self.lastBytes = lastBytes
        self.processID = processID
    }
}
