import Glibc
import Synchronization
import VolumeModel

/// Calls something again and again from a thread of its own: what looks after I/O that hangs must not
/// hang with it, nor wait for threads that do.
public final class LUNWatch: Sendable {
    private let isCancelled = Atomic(false)

    /// Calls `body` every `intervalMilliseconds` until it returns false or ``cancel()``.
    public init(
        intervalMilliseconds: UInt32, _ body: @escaping @Sendable () -> Bool
    ) throws(ErrorCode) {
        try FUSEThread.start(name: "lun-watch") {
            repeat { usleep(intervalMilliseconds * 1000) } while !self.isOver && body()
        }
    }

    private var isOver: Bool { isCancelled.load(ordering: .relaxed) }

    public func cancel() { isCancelled.store(true, ordering: .relaxed) }
}
