import Glibc
import Synchronization
import VolumeModel

/// Flushes one path to the LUN (fdatasync(2)) from a thread of its own. Flushes that are asked for
/// while one is under way share the next one, which starts after all of them were asked for.
public final class LUNFlusher: Sendable {
    private struct State {
        var waiting: [@Sendable (ErrorCode?) -> Void] = []
        var isRunning = false
    }

    /// Must stay open as long as a flush may be under way.
    public let descriptor: Int32
    private let state = Mutex(State())

    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Calls `completion`, on the flusher's thread, with nil when all that was written to this path
    /// before the call is durable, else with the error. `completion` must not block.
    public func flush(_ completion: @escaping @Sendable (ErrorCode?) -> Void) {
        let starts = state.withLock { state in
            state.waiting.append(completion)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else { return }
        do throws(ErrorCode) {
            try FUSEThread.start(name: "lun-flush") { self.run() }
        } catch {
            finish(error)
            state.withLock { $0.isRunning = false }
        }
    }

    /// The same, for tasks.
    public func flush() async throws(ErrorCode) {
        let failure = await withCheckedContinuation { continuation in
            flush { continuation.resume(returning: $0) }
        }
        if let failure { throw failure }
    }

    /// Until nobody waits.
    private func run() {
        while true {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isRunning = false }
                return state.waiting
            }
            if waiting.isEmpty { return }
            var result = fdatasync(descriptor)
            while result != 0 && errno == EINTR { result = fdatasync(descriptor) }
            let failure = result == 0 ? nil : ErrorCode(errno)
            for completion in waiting { completion(failure) }
        }
    }

    private func finish(_ failure: ErrorCode) {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for completion in waiting { completion(failure) }
    }
}
