import Locking
import VolumeModel

/// Makes many changes durable with one flush of the journal (rule durable-before-shown).
///
/// A change takes a number before it touches the file system, and says which inodes it may change. A
/// result may leave once every change that it may show is durable: of those that had begun when it was
/// made, those to the inodes that it shows, or its own alone. One thread flushes; a flush covers what
/// had ended when it began, whatever else was in progress then.
final class GroupCommit: Sendable {
    /// True where everything is durable; false where a flush failed, and nothing may be acknowledged.
    typealias Completion = @Sendable (_ isDurable: Bool) -> Void

    private struct State {
        var lastBegun: UInt64 = 0
        /// Ended, and in no flush yet.
        var ended: Set<UInt64> = []
        /// The last change to each inode, of those that are not durable.
        var lastChange: [FileHandle: UInt64] = [:]
        /// Every change up to this one is durable.
        var durable: UInt64 = 0
        /// Behind it, those that are while an earlier one is not.
        var durableBeyond: Set<UInt64> = []
        var hasFailed = false
        var isStopping = false
        var waiters: [(need: Need, completion: Completion)] = []

        func isMet(_ need: Need) -> Bool {
            switch need {
            case .all(let last): last <= durable
            case .only(let number): number <= durable || durableBeyond.contains(number)
            }
        }

        mutating func flushed(_ covered: Set<UInt64>) {
            durableBeyond.formUnion(covered)
            while durableBeyond.remove(durable + 1) != nil { durable += 1 }
            let durable = durable
            lastChange = lastChange.filter { $0.value > durable }
        }
    }

    /// What a result waits for.
    private enum Need {
        case all(through: UInt64)
        case only(UInt64)
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
            for file in files { state.lastChange[file] = state.lastBegun }
            return state.lastBegun
        }
    }

    /// A change has ended, well or not; whoever waits for it may be flushed for now.
    func end(_ number: UInt64) {
        let hasWaiters = state.withLock { state in
            state.ended.insert(number)
            return !state.waiters.isEmpty
        }
        if hasWaiters { wakeUp.signal() }
    }

    /// Calls back once every change that has begun by now is durable; where `shown` says so, those to
    /// these inodes.
    func whenDurable(showing shown: [FileHandle]? = nil, _ completion: @escaping Completion) {
        wait(completion) { state in
            .all(
                through: shown.map { $0.reduce(0) { max($0, state.lastChange[$1] ?? 0) } }
                    ?? state.lastBegun)
        }
    }

    /// Calls back once this change is durable, which has ended: for a result that shows nothing of any
    /// other that is not.
    func whenDurable(only number: UInt64, _ completion: @escaping Completion) {
        wait(completion) { _ in .only(number) }
    }

    private func wait(_ completion: @escaping Completion, for need: (State) -> Need) {
        enum Next { case now(Bool), flush }
        let next: Next = state.withLock { state in
            if state.hasFailed || state.isStopping { return .now(false) }
            let need = need(state)
            if state.isMet(need) { return .now(true) }
            state.waiters.append((need, completion))
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
            let isStopping = state.withLock { $0.isStopping }
            if isStopping {
                let waiters = state.withLock { state in
                    defer { state.waiters = [] }
                    return state.waiters
                }
                for waiter in waiters { waiter.completion(false) }
                stopped.signal()
                return
            }
            flushAll()
        }
    }

    private func flushAll() {
        // What ends from here on is covered by the next flush.
        let covered = state.withLock { state -> Set<UInt64> in
            guard !state.hasFailed else { return [] }
            defer { state.ended = [] }
            return state.ended
        }
        var hasFailed = false
        if !covered.isEmpty {
            flushing.wait()
            do { try flush() } catch { hasFailed = true }
            flushing.signal()
        }
        let (ready, isDurable) = state.withLock { state in
            if hasFailed { state.hasFailed = true } else { state.flushed(covered) }
            let isBroken = state.hasFailed
            let ready = state.waiters.filter { isBroken || state.isMet($0.need) }
            state.waiters = isBroken ? [] : state.waiters.filter { !state.isMet($0.need) }
            if !state.waiters.isEmpty, !state.ended.isEmpty { wakeUp.signal() }
            return (ready, !isBroken)
        }
        for waiter in ready { waiter.completion(isDurable) }
    }
}
