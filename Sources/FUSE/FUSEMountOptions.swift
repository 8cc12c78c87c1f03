import Glibc
import VolumeModel

/// How a file system is mounted.
public struct FUSEMountOptions: Sendable {
    public enum Readdirplus: Sendable {
        case off
        /// The kernel decides, by whether someone looks at the attributes.
        case automatic
        case always

        var flags: FUSEInitFlags {
            switch self {
            case .off: []
            case .automatic: [.readdirplus, .readdirplusAuto]
            case .always: [.readdirplus]
            }
        }
    }

    /// The type is shown as `fuse.SUBTYPE`.
    public var subtype = "covolume"
    /// What the mount table shows as the source.
    public var sourceName = "covolume"
    /// Other users than root may enter.
    public var allowOther = true
    /// The mount is one regular file, and its mount point too, instead of a directory.
    public var rootIsFile = false
    /// The kernel checks permissions by mode, owner and ACL.
    public var defaultPermissions = true
    /// A multiple of the page, at most ``Limits/payloadMaximumBytes``.
    public var maximumReadBytes = Limits.payloadMaximumBytes
    /// A multiple of the page, at most ``Limits/payloadMaximumBytes``.
    public var maximumWriteBytes = Limits.payloadMaximumBytes
    /// Threads: one per CPU, two at least.
    public var workers = max(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    /// Data requests that one worker has under way; on io_uring more where some take long. Each holds a buffer of
    /// ``Limits/payloadMaximumBytes``, whose pages are allocated as they are first used.
    public var slotsPerWorker = 64
    /// On io_uring, further data requests that one worker takes where others are held for long, and all
    /// others. Three quarters may be requests that wait for others, half of them for locks; past that
    /// they fail with ENOMEM or ENOLCK. The buffers' pages are allocated as they are first used.
    public var reserveEntriesPerWorker = 1024
    /// How requests come. `COVOL_FUSE_TRANSPORT` in the environment (automatic, uring, device) is the
    /// default, for tests and for support.
    public var transport = Transport.standard
    /// Switch FUSE over io_uring on for the machine (the parameter `enable_uring` of the kernel's module
    /// fuse) where it is off.
    public var enablesUring = true
    public var readdirplus = Readdirplus.automatic
    /// Asynchronous requests (read-ahead, asynchronous direct I/O) that the kernel has under way.
    public var maximumBackground: UInt16 = 256
    /// From this many on the kernel shows congestion.
    public var congestionThreshold: UInt16 = 192

    public init(subtype: String = "covolume", sourceName: String = "covolume") {
        self.subtype = subtype
        self.sourceName = sourceName
    }

    /// The last argument of mount(2).
    func mountData(descriptor: Int32) -> String {
        var parts = [
            "fd=\(descriptor)", "rootmode=\(rootIsFile ? "100000" : "40000")", "user_id=0",
            "group_id=0",
            "max_read=\(maximumReadBytes)",
        ]
        if allowOther { parts.append("allow_other") }
        if defaultPermissions { parts.append("default_permissions") }
        return parts.joined(separator: ",")
    }

    func check() {
        for size in [maximumReadBytes, maximumWriteBytes] {
            precondition(
                size >= FUSELimits.pageSizeBytes && size <= Limits.payloadMaximumBytes
                    && size % FUSELimits.pageSizeBytes == 0, "a payload is whole pages")
        }
        precondition(
            workers > 0 && workers <= FUSELimits.workersMaximum, "1 to 256 workers")
        precondition(
            slotsPerWorker > 0 && slotsPerWorker <= FUSELimits.slotsPerWorkerMaximum,
            "1 to 4096 slots per worker")
        precondition(
            reserveEntriesPerWorker > 0
                && reserveEntriesPerWorker <= FUSELimits.slotsPerWorkerMaximum,
            "1 to 4096 entries in reserve")
        precondition(
            maximumBackground > 0 && congestionThreshold <= maximumBackground,
            "congestion begins before the limit")
    }
}
