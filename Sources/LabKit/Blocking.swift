import Foundation

/// Runs blocking calls away from Swift's cooperative threads, of which there are only as many as
/// processors: a command that waits for a hung mount must not stop other tasks.
enum Blocking {
    /// The result of `body`, which runs on a thread of its own.
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(LabError) -> Value
    ) async throws(LabError) -> Value {
        let result: Result<Value, LabError> = await withCheckedContinuation { continuation in
            let thread = Thread {
                do throws(LabError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            thread.stackSize = 1 << 20
            thread.start()
        }
        return try result.get()
    }
}
