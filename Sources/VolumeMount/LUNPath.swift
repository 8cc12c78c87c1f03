import FUSE
import Glibc
import VolumeModel

/// One opening of this node's path to the LUN. It closes when nobody uses it any more: the mount, and
/// flushes that hang.
final class LUNPath: Sendable {
    let descriptor: Int32
    let flusher: LUNFlusher
    /// The lab's LUN simulator shows files of a FUSE mount.
    let mayBlock: Bool

    init(descriptor: Int32) {
        self.descriptor = descriptor
        mayBlock = Self.isOfFUSE(descriptor)
        flusher = LUNFlusher(descriptor: descriptor)
    }

    /// A file system without a device of its own, whose number is that of a FUSE connection.
    private static func isOfFUSE(_ descriptor: Int32) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_dev >> 8 & 0xfff == 0 else {
            return false
        }
        let minor = status.st_dev & 0xff | status.st_dev >> 12 & 0xfff00
        return access("/sys/fs/fuse/connections/\(minor)", F_OK) == 0
    }

    deinit { close(descriptor) }
}

/// What the data path has to know of a ``LUNPath``.
struct LUNUse: Sendable {
    var descriptor: Int32
    var mayBlock: Bool

    init(_ path: LUNPath?) {
        descriptor = path?.descriptor ?? -1
        mayBlock = path?.mayBlock ?? false
    }
}
