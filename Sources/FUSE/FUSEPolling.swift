import Glibc

/// Whether a worker whose LUN I/O is under way looks for its end before it sleeps.
///
/// To be woken costs tens of microseconds in a virtual machine, more than a fast LUN takes. So a worker
/// looks for a short while, and where that was in vain too often it sleeps at once, trying again ever
/// more rarely: a slow LUN costs no more than one attempt in ``FUSELimits/pollPauseMaximum``. The same
/// idea as KVM's `halt_poll_ns` (`Documentation/virt/kvm/halt-polling.rst`).
struct FUSEPolling {
    /// One look, of many steps. Before each the processor is offered to whoever else wants it: the LUN's
    /// own threads have little to do and are waited for, but where somebody computes, to be woken is
    /// sooner than to be let on again.
    struct Attempt {
        /// Nobody took the processor for long.
        private(set) var isUndisturbed = true
        private let deadline: UInt64
        private var last: UInt64

        init(at now: UInt64) {
            last = now
            deadline = now + FUSELimits.pollNanoseconds
        }

        /// After a step: whether there is another.
        mutating func goesOn(at now: UInt64) -> Bool {
            isUndisturbed = isUndisturbed && now - last < FUSELimits.pollStepNanoseconds
            last = now
            return isUndisturbed && now < deadline
        }
    }

    /// Waits that are slept through before the next attempt.
    private var pause: UInt32 = 0
    private var pauseLeft: UInt32 = 0

    static var nowNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Asked before a wait; counts it. Many operations keep the worker busy anyway, and then looking
    /// takes the processor from whoever reads and writes.
    mutating func mayPoll(operationsInFlight: Int) -> Bool {
        guard operationsInFlight > 0, operationsInFlight <= FUSELimits.pollOperationsMaximum else {
            return false
        }
        guard pauseLeft == 0 else {
            pauseLeft -= 1
            return false
        }
        return true
    }

    /// After an attempt: whether something was there in time and nobody else wanted the processor.
    mutating func polled(found: Bool) {
        pause = found ? 0 : min(max(pause * 2, 1), FUSELimits.pollPauseMaximum)
        pauseLeft = pause
    }
}
