import CLinux
import VolumeModel

/// In whose name a file is created: the owner it gets and the umask that applies where the directory
/// has no default ACL.
public struct Creator: Hashable, Sendable {
    public var userID: UInt32
    public var groupID: UInt32
    /// Permission bits to take away, umask(2).
    public var umask: UInt32

    public init(userID: UInt32, groupID: UInt32, umask: UInt32) {
        self.userID = userID
        self.groupID = groupID
        self.umask = umask
    }
}

/// What a thread needs before it may create files for others.
public enum HostThread {
    /// Gives the calling thread a umask of its own (`unshare(CLONE_FS)`), and lets it keep its
    /// capabilities while it has another's file system identity (`SECBIT_NO_SETUID_FIXUP`,
    /// capabilities(7)). Call it once on each thread that calls ``HostVolume``; it cannot be undone,
    /// so never on a thread of a shared pool. Needs CAP_SETPCAP.
    public static func prepare() throws(ErrorCode) {
        try call(covol_thread_unshare_fs())
        let bits = try call(covol_thread_get_securebits())
        try call(covol_thread_set_securebits(bits | covol_secbit_no_setuid_fixup))
    }

    /// Whether ``prepare()`` ran on the calling thread.
    public static var isPrepared: Bool {
        covol_thread_get_securebits() & covol_secbit_no_setuid_fixup != 0
    }

    /// Runs `body` with the creator's identity and umask, and restores this thread's own.
    static func run<Result>(
        as creator: Creator, _ body: () throws(ErrorCode) -> Result
    ) throws(ErrorCode) -> Result {
        // Without it the umask of every thread would change, and the capabilities would go.
        precondition(isPrepared, "HostThread.prepare() was not called on this thread")
        let umask = covol_thread_set_umask(creator.umask & 0o777)
        let groupID = covol_thread_set_fsgid(creator.groupID)
        let userID = covol_thread_set_fsuid(creator.userID)
        defer {
            _ = covol_thread_set_fsuid(userID)
            _ = covol_thread_set_fsgid(groupID)
            _ = covol_thread_set_umask(umask)
        }
        // These calls report no failure; an invalid ID (-1) changes nothing, and is the only way.
        guard covol_thread_set_fsuid(.max) == creator.userID,
            covol_thread_set_fsgid(.max) == creator.groupID
        else { throw .invalid }
        return try body()
    }
}
