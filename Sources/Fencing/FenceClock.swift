import Glibc

/// Time for waits that prove something; a parameter, so that tests need not wait.
public protocol FenceClock: Sendable {
    /// Seconds since boot, suspension included: CLOCK_BOOTTIME.
    var nowSeconds: Double { get }
    /// - Throws: `CancellationError`.
    func sleep(seconds: Double) async throws
}

/// CLOCK_BOOTTIME, which neither jumps nor stops.
public struct BootClock: FenceClock {
    public init() {}

    static var nowSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    public var nowSeconds: Double { BootClock.nowSeconds }

    public func sleep(seconds: Double) async throws {
        try await Task.sleep(for: .seconds(seconds))
    }
}
