import Glibc

/// CLOCK_BOOTTIME: what leases are counted by (rule lease-from-send); it goes on while the machine
/// sleeps.
enum BootClock {
    static var nowNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
