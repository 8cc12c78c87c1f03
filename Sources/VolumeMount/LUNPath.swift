import FUSE
import Glibc
import VolumeModel

/// One opening of this node's path to the LUN. It closes when nobody uses it any more: the mount, and
/// flushes that hang.
final class LUNPath: Sendable {
    let descriptor: Int32
    let flusher: LUNFlusher

    init(descriptor: Int32) {
        self.descriptor = descriptor
        flusher = LUNFlusher(descriptor: descriptor)
    }

    deinit { close(descriptor) }
}
