import CLinux
import Glibc
import VolumeModel

/// The memory of a worker's ring entries, seen at two addresses.
///
/// An entry's place is told to the kernel once and for good, but the LUN I/O of a request that was
/// left behind may use its pages for ever. So the kernel's FUSE gets one view of the pages and all
/// else uses the other; an entry whose pages are not its own any more shows others from then on.
final class FUSERingMemory: Sendable {
    // Sound: constant addresses, unmapped with the last reference; what lies there is one worker's, or
    // whose request is held in a slot.
    private nonisolated(unsafe) let kernelView: UnsafeMutableRawPointer
    private nonisolated(unsafe) let ownView: UnsafeMutableRawPointer
    private let file: Int32
    private let lengthBytes: Int

    /// Of `slotCount` slots, of which the first ones belong to the entry of the same number.
    init(slotCount: Int) throws(ErrorCode) {
        lengthBytes = slotCount * FUSELimits.slotMemoryBytes
        var views: (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) = (nil, nil)
        var file: Int32 = -1
        let result = covol_fuse_map_twice(lengthBytes, &views.0, &views.1, &file)
        guard result == 0, let first = views.0, let second = views.1 else {
            throw ErrorCode(-result)
        }
        kernelView = first
        ownView = second
        self.file = file
    }

    deinit {
        covol_fuse_unmap(kernelView, lengthBytes)
        covol_fuse_unmap(ownView, lengthBytes)
        close(file)
    }

    /// Where this process finds a slot: its header page, then its buffer.
    func slot(_ number: Int) -> UnsafeMutableRawPointer {
        ownView + number * FUSELimits.slotMemoryBytes
    }

    /// Where the kernel finds an entry's header and payload.
    func entry(_ number: Int) -> UnsafeMutableRawPointer {
        kernelView + number * FUSELimits.slotMemoryBytes
    }

    /// Has the kernel find another slot's pages at an entry's place. Not while it may look there.
    func show(slot: Int, inEntry entry: Int) throws(ErrorCode) {
        let result = covol_fuse_remap(
            self.entry(entry), FUSELimits.slotMemoryBytes, file,
            slot * FUSELimits.slotMemoryBytes)
        if result != 0 { throw ErrorCode(-result) }
    }
}
