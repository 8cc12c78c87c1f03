import Foundation
import Synchronization

@testable import LabKit

/// Ends system calls that hang in a lab's volumes: where a thread shows no progress for a while, the
/// lab's FUSE connections are aborted, and whatever waits in them fails.
final class Watchdog: Sendable {
    private let progress = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)
    private let barked = Atomic<Bool>(false)

    /// Whether it had to end something.
    var hasBarked: Bool { barked.load(ordering: .relaxed) }

    init(directory: String, limitSeconds: Double = 30) {
        let thread = Thread { [self] in
            var last = -1
            var since = Clock.nowSeconds
            while !isOver.load(ordering: .relaxed) {
                usleep(100_000)
                let now = progress.load(ordering: .relaxed)
                if now != last {
                    last = now
                    since = Clock.nowSeconds
                } else if Clock.nowSeconds - since > limitSeconds {
                    barked.store(true, ordering: .relaxed)
                    try? FUSEConnections.abort(below: directory)
                    return
                }
            }
        }
        thread.start()
    }

    func step() { progress.add(1, ordering: .relaxed) }

    func end() { isOver.store(true, ordering: .relaxed) }
}

/// Runs what blocks on a thread of its own: Swift's are few.
func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { done in
        let thread = Thread { done.resume(with: Result { try body() }) }
        thread.stackSize = 4 << 20
        thread.start()
    }
}
