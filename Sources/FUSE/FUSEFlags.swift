/// What OPEN, CREATE and OPENDIR answer (`FOPEN_…`).
public enum FUSEOpenReplyFlags {
    /// Reads and writes bypass the page cache.
    public static let directIO: UInt32 = 1 << 0
    public static let keepCache: UInt32 = 1 << 1
    public static let nonSeekable: UInt32 = 1 << 2
    public static let cacheDirectory: UInt32 = 1 << 3
    public static let stream: UInt32 = 1 << 4
    /// No FLUSH on close(2), which would also be the sign to drop POSIX locks.
    public static let noFlush: UInt32 = 1 << 5
    /// Writes to one file run beside each other, where they do not extend it.
    public static let parallelDirectWrites: UInt32 = 1 << 6
}

/// What OPEN and CREATE ask (`FUSE_OPEN_…`).
public enum FUSEOpenRequestFlags {
    /// Clear set-user-ID and set-group-ID bits (with O_TRUNC).
    public static let killSetID: UInt32 = 1 << 0
}

/// What RELEASE asks (`FUSE_RELEASE_…`).
public enum FUSEReleaseFlags {
    public static let flush: UInt32 = 1 << 0
    /// Drop the flock(2) lock of the open file.
    public static let flockUnlock: UInt32 = 1 << 1
}

/// What comes with a WRITE (`FUSE_WRITE_…`).
public enum FUSEWriteFlags {
    /// From the page cache: the handle is a guess.
    public static let cache: UInt32 = 1 << 0
    public static let lockOwner: UInt32 = 1 << 1
    /// Clear set-ID bits and capabilities.
    public static let killSetID: UInt32 = 1 << 2
}

/// The flags of INIT that this module knows: `flags` below bit 32, `flags2` above.
public struct FUSEInitFlags: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let asyncRead = FUSEInitFlags(rawValue: 1 << 0)
    public static let posixLocks = FUSEInitFlags(rawValue: 1 << 1)
    public static let bigWrites = FUSEInitFlags(rawValue: 1 << 5)
    public static let doNotMask = FUSEInitFlags(rawValue: 1 << 6)
    public static let flockLocks = FUSEInitFlags(rawValue: 1 << 10)
    public static let autoInvalidateData = FUSEInitFlags(rawValue: 1 << 12)
    public static let readdirplus = FUSEInitFlags(rawValue: 1 << 13)
    public static let readdirplusAuto = FUSEInitFlags(rawValue: 1 << 14)
    public static let asyncDirectIO = FUSEInitFlags(rawValue: 1 << 15)
    public static let parallelDirectoryOperations = FUSEInitFlags(rawValue: 1 << 18)
    public static let posixACL = FUSEInitFlags(rawValue: 1 << 20)
    public static let abortError = FUSEInitFlags(rawValue: 1 << 21)
    public static let maximumPages = FUSEInitFlags(rawValue: 1 << 22)
    public static let handleKillPrivilegesV2 = FUSEInitFlags(rawValue: 1 << 28)
    public static let setxattrExtended = FUSEInitFlags(rawValue: 1 << 29)
    public static let initExtended = FUSEInitFlags(rawValue: 1 << 30)
    /// Requests can be sent again (Linux 6.9).
    public static let hasResend = FUSEInitFlags(rawValue: 1 << 39)
    public static let overUring = FUSEInitFlags(rawValue: 1 << 41)
}
