import Glibc
import VolumeModel

extension Timestamp {
    /// By the clock that the kernel stamps files with, which goes in ticks of some milliseconds: a time
    /// ahead of it would be followed by an earlier one.
    static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    func earlier(byNanoseconds age: UInt64) -> Timestamp {
        let billion: UInt64 = 1_000_000_000
        let total = Int64(nanoseconds) - Int64(age % billion)
        let borrow: Int64 = total < 0 ? 1 : 0
        return Timestamp(
            seconds: seconds - Int64(age / billion) - borrow,
            nanoseconds: UInt32(total + borrow * Int64(billion)))
    }
}
