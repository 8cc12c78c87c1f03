import NIOPosix

/// Runs what blocks on threads of its own, away from Swift's concurrency's.
enum Blocking {
    static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await NIOThreadPool.singleton.runIfActive { try body() }
    }
}
