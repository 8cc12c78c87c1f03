import Glibc

/// Time since boot, for deadlines: CLOCK_BOOTTIME does not jump.
enum Clock {
    static var nowSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Asks until the answer is yes or the time is over. Blocks its thread.
    static func wait(
        atMostSeconds: Double, pollSeconds: Double = 0.02, until isDone: () -> Bool
    ) -> Bool {
        let deadline = nowSeconds + atMostSeconds
        while !isDone() {
            guard nowSeconds < deadline else { return false }
            usleep(UInt32(pollSeconds * 1e6))
        }
        return true
    }
}
