import HostFileSystem
import Locking
import Synchronization

/// The threads on which a coordinator's file system calls block, each prepared to create files in the
/// name of others.
final class WorkerPool: Sendable {
    typealias Job = @Sendable () -> Void

    private struct State {
        var jobs: [Job] = []
        var head = 0
        var isStopping = false
    }

    private let state = Lock(State())
    private let available = Semaphore()
    private let ended = Semaphore()
    private let threadCount: Int

    init(threads: Int) {
        threadCount = threads
        for number in 0..<threads {
            ServiceThread.start("covol-fs-\(number)") { [self] in
                do {
                    try HostThread.prepare()
                } catch {
                    fatalError(
                        "a file system thread could not be prepared (root is needed): \(error)")
                }
                run()
            }
        }
    }

    func submit(_ job: @escaping Job) {
        state.withLock { $0.jobs.append(job) }
        available.signal()
    }

    /// Runs something on a prepared thread and waits for it. Not for Swift's concurrency's threads.
    func perform<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        let outcome = Mutex<Swift.Result<Result, any Error>?>(nil)
        let done = Semaphore()
        submit {
            let result = Swift.Result { try body() }
            outcome.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = outcome.withLock({ $0 }) else {
            preconditionFailure("a job ended without a result")
        }
        return try result.get()
    }

    /// Ends the threads after what has been submitted. False where one has not ended in time: it
    /// hangs in the kernel, and ends when that lets go of it.
    @discardableResult
    func stop(by deadline: ServiceDeadline) -> Bool {
        state.withLock { $0.isStopping = true }
        for _ in 0..<threadCount { available.signal() }
        for _ in 0..<threadCount where !ended.wait(until: deadline) { return false }
        return true
    }

    func stop() { stop(by: ServiceDeadline(seconds: .infinity)) }

    private func run() {
        while true {
            available.wait()
            let (job, isStopping): (Job?, Bool) = state.withLock { state in
                guard state.head < state.jobs.count else { return (nil, state.isStopping) }
                let job = state.jobs[state.head]
                state.head += 1
                if state.head == state.jobs.count || state.head > 1024 {
                    state.jobs.removeFirst(state.head)
                    state.head = 0
                }
                return (job, false)
            }
            if let job {
                job()
            } else if isStopping {
                ended.signal()
                return
            }
        }
    }
}
