import Locking
import VolumeModel

/// Makes many changes durable with one flush of the journal (rule durable-before-shown).
///
/// A change takes a number before it touches the file system, and says which inodes it may change. A
/// result may leave once every change that it may show is durable: of those that had begun when it was
/// made, those to the inodes that it shows. One thread flushes; what begins during a flush is covered
/// by the next.
final class GroupCommit: Sendable {
    /// True where everything is durable; false where a flush failed, and nothing may be acknowledged.
    typealias Completion = @Sendable (_ isDurable: Bool) -> Void

    private struct State {
        var lastBegun: UInt64 = 0
        var inProgress: Set<UInt64> = []
        /// The last change to each inode, of those that are not durable.
        var lastChange: [FileHandle: UInt64] = [:]
        var durable: UInt64 = 0
        var hasFailed = false
        var isStopping = false
        var waiters: [(number: UInt64, completion: Completion)] = []

        /// The last number up to which every change has ended.
        var ended: UInt64 { inProgress.min().map { $0 - 1 } ?? lastBegun }
    }

    private let state = Lock(State())
    private let wakeUp = Semaphore()
    private let flush: @Sendable () throws(ErrorCode) -> Void
    private let stopped = Semaphore()
    /// Held by a flush, and by what must not be flushed half done.
    private let flushing = Semaphore(1)

    /// `flush` makes everything that has ended so far durable; it is called on a thread of its own.
    init(flush: @escaping @Sendable () throws(ErrorCode) -> Void) {
        self.flush = flush
        ServiceThread.start("covol-commit") { [self] in run() }
    }

    /// - Parameter files: the inodes that the change may change, but for those that it makes.
    func begin(changing files: [FileHandle] = []) -> UInt64 {
        state.withLock { state in
            state.lastBegun += 1
            state.inProgress.insert(state.lastBegun)
            for file in files { state.lastChange[file] = state.lastBegun }
            return state.lastBegun
        }
    }

    /// A change has ended, well or not; whoever waits for it may be flushed for now.
    func end(_ number: UInt64) {
        let hasWaiters = state.withLock { state in
            state.inProgress.remove(number)
            return !state.waiters.isEmpty
        }
        if hasWaiters { wakeUp.signal() }
    }

    /// Calls back once every change that has begun by now is durable; where `shown` says so, those to
    /// these inodes.
    func whenDurable(showing shown: [FileHandle]? = nil, _ completion: @escaping Completion) {
        enum Next { case now(Bool), flush }
        let next: Next = state.withLock { state in
            if state.hasFailed || state.isStopping { return .now(false) }
            let last =
                shown.map { $0.reduce(0) { max($0, state.lastChange[$1] ?? 0) } }
                ?? state.lastBegun
            if state.durable >= last { return .now(true) }
            state.waiters.append((last, completion))
            return .flush
        }
        switch next {
        case .now(let isDurable): completion(isDurable)
        case .flush: wakeUp.signal()
        }
    }

    /// Ends the thread; whoever still waits is told that nothing is durable. False where a flush that
    /// hangs holds it up.
    @discardableResult
    func stop(by deadline: ServiceDeadline = ServiceDeadline(seconds: .infinity)) -> Bool {
        state.withLock { $0.isStopping = true }
        wakeUp.signal()
        return stopped.wait(until: deadline)
    }

    /// Runs a change that is several in the journal, so that no flush of ours comes between them.
    func withoutFlush<Result>(_ body: () -> Result) -> Result {
        flushing.wait()
        defer { flushing.signal() }
        return body()
    }

    private func run() {
        while true {
            wakeUp.wait()
            let (target, isStopping) = state.withLock { ($0.ended, $0.isStopping) }
            if isStopping {
                let waiters = state.withLock { state in
                    defer { state.waiters = [] }
                    return state.waiters
                }
                for waiter in waiters { waiter.completion(false) }
                stopped.signal()
                return
            }
            flushAll(through: target)
        }
    }

    private func flushAll(through target: UInt64) {
        let needsFlush = state.withLock { target > $0.durable && !$0.hasFailed }
        var hasFailed = false
        if needsFlush {
            flushing.wait()
            do { try flush() } catch { hasFailed = true }
            flushing.signal()
        }
        let ready = state.withLock { state in
            if hasFailed {
                state.hasFailed = true
            } else {
                state.durable = max(state.durable, target)
                let durable = state.durable
                state.lastChange = state.lastChange.filter { $0.value > durable }
            }
            let isBroken = state.hasFailed
            let durable = state.durable
            let ready = state.waiters.filter { isBroken || $0.number <= durable }
            state.waiters.removeAll { isBroken || $0.number <= durable }
            if !state.waiters.isEmpty, state.ended > durable { wakeUp.signal() }
            return ready
        }
        let isDurable = state.withLock { !$0.hasFailed }
        for waiter in ready { waiter.completion(isDurable) }
    }
}
