import CLinux
import Glibc

/// The commands of FUSE over io_uring (`fs/fuse/dev_uring.c`, Linux 6.14), on a ring of wide entries.
extension IORing {
    /// Gives an entry to the kernel's queue of that number; completes with 0 when it holds a request,
    /// or with an error. `parts`: where the header and the payload lie, which must stay as long as the
    /// connection uses the entry; the array itself until the submit.
    public func queueFUSERegister(
        descriptor: Int32, queue number: UInt32, parts: UnsafePointer<iovec>, userData: UInt64
    ) {
        queue { covol_ring_fuse_register(ring, descriptor, number, parts, userData) }
    }

    /// Gives an entry back with the answer in it; completes like ``queueFUSERegister``. The answer is
    /// taken from the entry's memory with the submit. Without a descriptor: the registered file's.
    public func queueFUSECommit(
        descriptor: Int32?, queue number: UInt32, commitID: UInt64, userData: UInt64
    ) {
        queue { covol_ring_fuse_commit(ring, descriptor ?? -1, number, commitID, userData) }
    }
}
