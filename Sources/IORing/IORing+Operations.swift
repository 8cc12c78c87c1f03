import CLinux
import VolumeModel

/// Each queues one operation; it starts with the next submit. Where the queue is full, what it holds
/// is sent first. The memory and the descriptor must stay until the operation has completed.
extension IORing {
    /// pread(2). `async` hands it straight to a kernel worker. `registered`: the number of the
    /// registered buffer that all of `buffer` lies in.
    public func queueRead(
        descriptor: Int32, into buffer: UnsafeMutableRawPointer, lengthBytes: UInt32,
        offsetBytes: UInt64, registered: Int32? = nil, async: Bool = false, userData: UInt64
    ) {
        queue {
            covol_ring_read(
                ring, descriptor, buffer, lengthBytes, offsetBytes, registered ?? -1,
                async ? 1 : 0, userData)
        }
    }

    /// pwrite(2), with `RWF_DSYNC` where `dsync` is set; else like ``queueRead``.
    public func queueWrite(
        descriptor: Int32, from buffer: UnsafeRawPointer, lengthBytes: UInt32, offsetBytes: UInt64,
        registered: Int32? = nil, dsync: Bool, async: Bool = false, userData: UInt64
    ) {
        queue {
            covol_ring_write(
                ring, descriptor, buffer, lengthBytes, offsetBytes, registered ?? -1,
                dsync ? 1 : 0, async ? 1 : 0, userData)
        }
    }

    /// fdatasync(2).
    public func queueFlush(descriptor: Int32, userData: UInt64) {
        queue { covol_ring_fdatasync(ring, descriptor, userData) }
    }

    /// Completes once, when the descriptor is readable or broken. `exclusive`: of many rings that
    /// wait for it, an event wakes one (`EPOLLEXCLUSIVE`, epoll_ctl(2)).
    public func queuePollReadable(descriptor: Int32, exclusive: Bool, userData: UInt64) {
        queue { covol_ring_poll_in(ring, descriptor, exclusive ? 1 : 0, userData) }
    }

    /// Completes once, when the descriptor is broken or hung up.
    public func queuePollBroken(descriptor: Int32, userData: UInt64) {
        queue { covol_ring_poll_broken(ring, descriptor, userData) }
    }

    /// Ends the operation that was queued with `target`: it completes with ECANCELED, or with what it
    /// came to before. This completes as well, with ENOENT where there was none.
    public func queueCancel(target: UInt64, userData: UInt64) {
        queue { covol_ring_cancel(ring, target, userData) }
    }

    /// Completes at once with 0.
    public func queueNothing(userData: UInt64) {
        queue { covol_ring_nop(ring, userData) }
    }

    /// Completes with ETIME when that much time has passed. `timeout` must stay until the submit.
    public func queueTimeout(_ timeout: UnsafePointer<covol_timeout>, userData: UInt64) {
        queue { covol_ring_timeout(ring, timeout, userData) }
    }

    func queue(_ prepare: () -> Int32) {
        while prepare() != 0 {
            let result = covol_ring_submit(ring)
            // A submit that moves nothing for another reason means a broken ring: a programmer error.
            precondition(
                result >= 0 || result == -ErrorCode.interrupted.number
                    || result == -ErrorCode.tryAgain.number || result == -ErrorCode.busy.number,
                "io_uring refuses submissions: errno \(-result)")
        }
    }
}
