import CLinux
import VolumeModel

/// How a shutdown treats what is not yet on the LUN, `FS_IOC_SHUTDOWN`.
public enum ShutdownMode: UInt32, Sendable {
    /// Flushes the log, and not the data.
    case logFlush = 1
    /// Flushes nothing.
    case noLogFlush = 2
}

extension HostVolume {
    /// Writes everything and holds all changes until ``thaw()``, ioctl_fifreeze(2): meanwhile
    /// operations that change anything block.
    public func freeze() throws(ErrorCode) {
        try root().use { fd throws(ErrorCode) in _ = try call(covol_freeze(fd)) }
    }

    public func thaw() throws(ErrorCode) {
        try root().use { fd throws(ErrorCode) in _ = try call(covol_thaw(fd)) }
    }

    /// Makes the file system fail every later operation with EIO. A courtesy, not a fence: ext4's
    /// metadata in the device's page cache can still be written (rule one-coordinator).
    public func shutdown(_ mode: ShutdownMode = .noLogFlush) throws(ErrorCode) {
        try root().use { fd throws(ErrorCode) in _ = try call(covol_shutdown(fd, mode.rawValue)) }
    }
}
