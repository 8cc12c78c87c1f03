import Dispatch
import Foundation
import Synchronization

/// Runs calls that may not come back on threads of their own, and gives up on them after a time.
///
/// ioctl(SG_IO) has a time-out, but when it passes the kernel's error handling begins, which can
/// take minutes, or no end at all (seen with a target that deadlocked): a fence that waits for it
/// would never come to its next rung. A call that was given up on goes on in its thread; while there
/// is one, no other begins.
final class BoundedCall<Value: Sendable>: Sendable {
    private final class Box: Sendable {
        let value = Mutex<Value?>(nil)
    }

    private let turn = DispatchSemaphore(value: 1)

    /// Nil where the call did not come back in time, or an earlier one has not come back yet.
    /// Callers on several threads take turns, within their time.
    func run(timeoutSeconds: Double, _ body: @escaping @Sendable () -> Value) -> Value? {
        // Of a clock that nobody sets.
        let deadline = DispatchTime.now() + timeoutSeconds
        guard turn.wait(timeout: deadline) == .success else { return nil }
        let box = Box()
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [turn] in
            let value = body()
            box.value.withLock { $0 = value }
            ended.signal()
            turn.signal()
        }
        _ = ended.wait(timeout: deadline)
        return box.value.withLock { $0 }
    }
}
