import Glibc

enum MonotonicClock {
    /// CLOCK_BOOTTIME, in nanoseconds.
    static var nowNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
