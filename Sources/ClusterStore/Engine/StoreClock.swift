import Glibc

/// The clock that leases end by.
public struct StoreClock: Sendable {
    /// Nanoseconds since some fixed moment; never goes back, counts suspended time.
    public let nowNanoseconds: @Sendable () -> Int64

    public init(nowNanoseconds: @escaping @Sendable () -> Int64) {
        self.nowNanoseconds = nowNanoseconds
    }

    /// CLOCK_BOOTTIME, clock_gettime(2).
    public static let boot = StoreClock {
        var time = timespec()
        let result = clock_gettime(CLOCK_BOOTTIME, &time)
        precondition(result == 0, "CLOCK_BOOTTIME cannot be read")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
