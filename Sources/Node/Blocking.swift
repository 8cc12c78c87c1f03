import Foundation

/// Runs what blocks on a thread of its own, away from Swift's concurrency's: it may block for ever,
/// where a path hangs, and must not keep anything else from running.
enum Blocking {
    static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Swift.Result { try body() })
            }
        }
    }
}
