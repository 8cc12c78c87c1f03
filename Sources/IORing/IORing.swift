import CLinux
import VolumeModel

/// One io_uring(7) of one thread: submissions are queued, sent in a batch, and their completions are
/// taken on the same thread.
///
/// A thin layer over liburing. The ring's head and tail counters, which wrap at 2³², are liburing's
/// and the kernel's alone: nothing here keeps or compares one, so nothing here can wrap.
///
/// Threading: with ``Mode/deferred`` the kernel refuses every thread but the one that made the ring.
/// Keep to one thread in all modes.
public struct IORing: ~Copyable {
    /// How completions reach the thread; the best that the kernel grants is taken.
    public enum Mode: String, Sendable {
        /// `SINGLE_ISSUER` and `DEFER_TASKRUN`: completions run only inside this thread's own calls
        /// (Linux 6.1).
        case deferred
        /// `COOP_TASKRUN`: completions run when the thread next enters the kernel (Linux 5.19).
        case cooperative
        /// Neither: completions interrupt the thread.
        case plain
    }

    /// The most completions that one pass of ``takeCompletions(_:)`` delivers before it looks again.
    static let batchCapacity = 64

    public let mode: Mode
    let ring: OpaquePointer
    private let batch: UnsafeMutablePointer<covol_completion>

    /// - Parameters:
    ///   - entries: submissions that fit before one must be sent, at most 32768.
    ///   - completions: completions that fit; more wait in the kernel, none is lost.
    ///   - wideEntries: submissions of 128 bytes, for the commands of FUSE (Linux 5.19).
    ///   - modes: what to try, best first.
    /// - Throws: ENOSYS or EPERM where io_uring is missing or forbidden (`kernel.io_uring_disabled`),
    ///   ENOMEM, EMFILE.
    public init(
        entries: UInt32, completions: UInt32, wideEntries: Bool = false,
        modes: [Mode] = [.deferred, .cooperative, .plain]
    ) throws(ErrorCode) {
        precondition(entries > 0 && completions >= entries, "a ring completes what it submits")
        var created: OpaquePointer?
        var result = -ErrorCode.invalid.number
        var granted = Mode.plain
        for candidate in modes {
            let flags = Self.flags(candidate) | (wideEntries ? covol_ring_sqe128 : 0)
            result = covol_ring_create(entries, completions, flags, &created)
            granted = candidate
            // Only EINVAL says that a flag is unknown.
            if result != -ErrorCode.invalid.number { break }
        }
        guard result == 0, let created else { throw ErrorCode(-result) }
        ring = created
        mode = granted
        batch = .allocate(capacity: Self.batchCapacity)
    }

    deinit {
        covol_ring_destroy(ring)
        batch.deallocate()
    }

    private static func flags(_ mode: Mode) -> UInt32 {
        switch mode {
        case .deferred:
            covol_ring_clamp | covol_ring_submit_all | covol_ring_single_issuer
                | covol_ring_defer_taskrun
        case .cooperative: covol_ring_clamp | covol_ring_submit_all | covol_ring_coop_taskrun
        case .plain: covol_ring_clamp
        }
    }

    /// Pins pieces of memory for as long as the ring is there, so that operations that name them by
    /// their position need not look their pages up. Once. Throws ENOMEM, EFAULT, and what else
    /// io_uring_register(2) says of `IORING_REGISTER_BUFFERS`.
    public func registerBuffers(_ buffers: [iovec]) throws(ErrorCode) {
        let result = covol_ring_register_buffers(ring, buffers, UInt32(buffers.count))
        if result < 0 { throw ErrorCode(-result) }
    }

    /// Holds the file of one descriptor, for operations that name it without the descriptor. Once.
    public func registerFile(_ descriptor: Int32) throws(ErrorCode) {
        let result = covol_ring_register_file(ring, descriptor)
        if result < 0 { throw ErrorCode(-result) }
    }

    /// Sends what is queued and waits until at least one completion is there. A signal ends the wait
    /// early without an error.
    public func submitAndWait() throws(ErrorCode) {
        try check(covol_ring_submit_and_wait(ring, 1))
    }

    /// Sends what is queued and lets finished work show up, without waiting.
    public func submitAndPoll() throws(ErrorCode) {
        try check(covol_ring_submit_and_get_events(ring))
    }

    /// ``takeCompletions(_:)`` would deliver something.
    public var hasCompletions: Bool { covol_ring_ready(ring) > 0 }

    /// Calls `body` for each completion that is there, and returns their number. `body` may queue new
    /// operations; it must not take completions itself.
    @discardableResult
    public func takeCompletions(_ body: (IORingCompletion) -> Void) -> Int {
        var total = 0
        while true {
            let count = Int(covol_ring_take(ring, batch, UInt32(Self.batchCapacity)))
            for index in 0..<count {
                body(
                    IORingCompletion(userData: batch[index].user_data, result: batch[index].result))
            }
            total += count
            if count < Self.batchCapacity { return total }
        }
    }

    private func check(_ result: Int32) throws(ErrorCode) {
        switch -result {
        // EBUSY and EAGAIN: completions must be taken first, which the caller does next.
        case ErrorCode.interrupted.number, ErrorCode.busy.number, ErrorCode.tryAgain.number: return
        default: if result < 0 { throw ErrorCode(-result) }
        }
    }
}
