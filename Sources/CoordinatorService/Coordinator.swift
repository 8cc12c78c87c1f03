import CoordinatorCore
import HostFileSystem
import Locking
import Logging
import NIOCore
import VolumeModel
import VolumeProtocol

/// One volume's coordinator: the shell around ``CoordinatorCore``. It owns the private mount, runs the
/// core's commands on threads of its own, holds results back until they are durable, and carries
/// recalls to the nodes.
///
/// A coordinator that cannot make its changes durable is none: from the first flush that fails on,
/// every request ends as ``VolumeProtocol/Refusal/notCoordinator``, and never as an error that an
/// application would see. The next coordinator performs it.
public final class Coordinator: Sendable {
    struct RequestKey: Hashable {
        var session: NodeIdentity
        var sequence: UInt64
    }

    /// Called once, on any thread; must not block.
    public typealias Completion = @Sendable (Result<CoordinatorAnswer, Refusal>) -> Void

    struct Waiting {
        /// More than one where a node asked again before it had an answer.
        var completions: [Completion]
        var payload: ByteBuffer?
        var answer: ByteBuffer?

        func end(_ result: Result<CoordinatorAnswer, Refusal>) {
            for completion in completions { completion(result) }
        }
    }

    struct State {
        var core: CoordinatorCore
        var ports: [NodeIdentity: any NodePort] = [:]
        /// The numbers that sessions' present processes begin with, where there was one before.
        var firstSequences: [NodeIdentity: UInt64] = [:]
        var waiting: [RequestKey: Waiting] = [:]
        /// When nodes were asked for what they owe.
        var asked: [RecallID: ContinuousClock.Instant] = [:]
        /// Stopping, or no coordinator any more.
        var hasEnded = false
        var hasFailed = false
        var draining: [CheckedContinuation<Void, Never>] = []
    }

    let state: Lock<State>
    let runner: CommandRunner
    let pool: WorkerPool
    private let commit: GroupCommit
    private let monitor: HangMonitor
    private let rules: SafetyRules
    let log: Logger
    private let onFailure: @Sendable (ErrorCode) -> Void
    public let root: FileEntry

    /// Takes over a mounted volume.
    ///
    /// - Parameters:
    ///   - threads: how many file system calls run at a time.
    ///   - attached: the names of all nodes that may hold something of an earlier epoch: the grace
    ///     waits for them.
    ///   - onFailure: called once, on any thread, when this coordinator can go on no more.
    public init(
        volume: HostVolume, rules: SafetyRules = .all, threads: Int = 8, attached: [String] = [],
        log: Logger, onFailure: @escaping @Sendable (ErrorCode) -> Void = { _ in }
    ) throws {
        let pool = WorkerPool(threads: threads)
        self.pool = pool
        let start: CoordinatorEvent
        do {
            (runner, root, start) = try pool.perform {
                let runner = try CommandRunner(volume: volume, rules: rules)
                let start = try runner.takeOver(attached: attached, log: log)
                return (runner, try runner.root(), start)
            }
        } catch {
            pool.stop()
            throw error
        }
        let monitor = HangMonitor { [runner] () throws(ErrorCode) in try runner.proveReadable() }
        self.monitor = monitor
        commit = GroupCommit { () throws(ErrorCode) in
            try monitor.step { Result { () throws(ErrorCode) in try volume.sync() } }.get()
        }
        state = Lock(State(core: CoordinatorCore(rules: rules)))
        self.rules = rules
        self.log = log
        self.onFailure = onFailure
        monitor.start { [weak self] error in self?.fail(error) }
        handle(start)
    }

    /// The nodes that the grace waits for, in order; empty once it is over.
    public var graceWaitingFor: [String] { state.withLock { $0.core.graceWaitingFor } }

    /// Performs one request. It waits as long as the grace, others' work, recalls or locks take.
    ///
    /// - Throws: the refusal, where nothing of the request was done or will show: the node asks
    ///   again, with the same number and slot.
    public func request(
        _ session: NodeIdentity, sequence: UInt64, slot: UInt16 = Operation.noSlot,
        _ operation: Operation, payload: ByteBuffer? = nil
    ) async throws(Refusal) -> CoordinatorAnswer {
        try await withCheckedContinuation { continuation in
            request(session, sequence: sequence, slot: slot, operation, payload: payload) {
                continuation.resume(returning: $0)
            }
        }.get()
    }

    /// The same without a task that waits. `completion` may be called before this returns.
    public func request(
        _ session: NodeIdentity, sequence: UInt64, slot: UInt16 = Operation.noSlot,
        _ operation: Operation, payload: ByteBuffer? = nil, completion: @escaping Completion
    ) {
        let key = RequestKey(session: session, sequence: sequence)
        enum Next { case begin, joined, refused(Refusal) }
        let next: Next = state.withLock { state in
            if state.hasEnded { return .refused(.notCoordinator) }
            if state.waiting[key] != nil {
                state.waiting[key]?.completions.append(completion)
                return .joined
            }
            guard state.core.hasSession(session) else { return .refused(.noSession) }
            if let first = state.firstSequences[session], sequence < first {
                return .refused(.noSession)
            }
            guard state.waiting.count < ServiceLimits.requestsMaximum else {
                return .refused(.tooManyRequests)
            }
            state.waiting[key] = Waiting(completions: [completion], payload: payload)
            return .begin
        }
        switch next {
        case .joined: break
        case .refused(let refusal): completion(.failure(refusal))
        case .begin:
            handle(
                .request(
                    session, sequence: sequence, slot: slot, operation,
                    payloadBytes: payload?.readableBytes ?? 0))
        }
    }

    func handle(_ event: CoordinatorEvent) {
        var actions: [CoordinatorAction] = []
        let drained = state.withLock { state in
            guard !state.hasEnded else { return [CheckedContinuation<Void, Never>]() }
            state.core.handle(event, into: &actions)
            guard state.core.isIdle else { return [] }
            defer { state.draining = [] }
            return state.draining
        }
        for action in actions { perform(action) }
        for continuation in drained { continuation.resume() }
    }

    private func perform(_ action: CoordinatorAction) {
        switch action {
        case .execute(let task, let command):
            pool.submit { [self] in run(command, of: task) }
        case .reply(let session, let sequence, let result, let grant):
            let waiting = take(RequestKey(session: session, sequence: sequence))
            waiting?.end(
                .success(CoordinatorAnswer(result, payload: waiting?.answer, grant: grant)))
        case .refuse(let session, let sequence, let refusal):
            take(RequestKey(session: session, sequence: sequence))?.end(.failure(refusal))
        case .recall(let id, let session, let file, let range, let generation):
            ask(session, id) { await $0.recall(file, range, generation) }
        case .collectWrites(let id, let session, let file):
            ask(session, id) { await $0.collectWrites(file) }
        case .recallMetadata(let id, let session, let file):
            ask(session, id) { await $0.recallMetadata(file) ? WriteReport() : nil }
        }
    }

    private func take(_ key: RequestKey) -> Waiting? {
        state.withLock { $0.waiting.removeValue(forKey: key) }
    }

    private func ask(
        _ session: NodeIdentity, _ recall: RecallID,
        _ question: @escaping @Sendable (any NodePort) async -> WriteReport?
    ) {
        let port = state.withLock { state in
            if state.asked[recall] == nil { state.asked[recall] = .now }
            return state.ports[session]
        }
        guard let port else { return }
        Task {
            if let report = await question(port) {
                state.withLock { $0.asked[recall] = nil }
                handle(.answered(recall, report))
            } else {
                // Rule fence-before-forget: what a silent node holds stays held.
                log.warning(
                    "a node does not answer a recall; it keeps its layouts until it is fenced",
                    metadata: ["node": "\(session)"])
            }
        }
    }

    private func run(_ command: Command, of task: TaskID) {
        let (key, once, payload, changed) = state.withLock { state in
            let key = state.core.request(of: task).map {
                RequestKey(session: $0.session, sequence: $0.sequence)
            }
            let payload = key.flatMap { state.waiting[$0]?.payload }
            return (key, state.core.onceKey(of: task), payload, state.core.changes(of: task))
        }
        let number = command.isChange ? commit.begin(changing: changed) : nil
        let node = key?.session.name ?? ""
        let outcome = monitor.step {
            command.isManyChanges
                ? commit.withoutFlush {
                    runner.run(command, payload: payload, once: once, node: node)
                } : runner.run(command, payload: payload, once: once, node: node)
        }
        if let number { commit.end(number) }
        if let error = outcome.result.doubtfulError {
            let proof = monitor.step {
                Result { [runner] () throws(ErrorCode) in try runner.proveWritable() }
            }
            if case .failure(let failure) = proof {
                fail(failure)
                return
            }
            if error != .stale {
                log.error(
                    "the file system answered with an error, though the LUN can be read and written",
                    metadata: ["error": "\(error)"])
            }
        }
        if let answer = outcome.payload, let key {
            state.withLock { $0.waiting[key]?.answer = answer }
        }
        if command.needsNoCommit(rules) {
            handle(.executed(task, outcome.result))
            return
        }
        let completion: GroupCommit.Completion = { [self] isDurable in
            if isDurable { handle(.executed(task, outcome.result)) } else { fail(.inputOutput) }
        }
        if let number, command.showsItselfAlone(outcome.result) {
            commit.whenDurable(only: number, completion)
        } else {
            commit.whenDurable(showing: command.shown(with: outcome.result), completion)
        }
    }

    // MARK: The end

    /// Ends everything that is under way as not done here. False: it had ended already.
    private func endAll() -> Bool {
        let (waiting, draining, isFirst) = state.withLock { state in
            defer {
                state.waiting = [:]
                state.draining = []
                state.hasEnded = true
            }
            return (state.waiting, state.draining, !state.hasEnded)
        }
        for entry in waiting.values { entry.end(.failure(.notCoordinator)) }
        for continuation in draining { continuation.resume() }
        return isFirst
    }

    /// Something could not be written: what of it reached the LUN, or will, is not known here.
    public var hasFailed: Bool { state.withLock { $0.hasFailed } }

    private func fail(_ error: ErrorCode) {
        state.withLock { $0.hasFailed = true }
        guard endAll() else { return }
        log.error(
            "the coordinator cannot make changes durable, and ends; is the LUN reachable?",
            metadata: ["error": "\(error)"])
        onFailure(error)
    }

    /// Ends the coordinator's threads, and with them its use of the mount; the owner then closes it.
    public func stop() { _ = abandon(timeoutSeconds: .infinity) }

    /// As ``stop()``, where the LUN may hang: requests end at once, threads are waited for so long.
    /// False: one still hangs in the kernel, and keeps the mount.
    public func abandon(timeoutSeconds: Double) -> Bool {
        _ = endAll()
        monitor.stop()
        let deadline = ServiceDeadline(seconds: timeoutSeconds)
        let (hasEnded, hasCommitted) = (pool.stop(by: deadline), commit.stop(by: deadline))
        return hasEnded && hasCommitted
    }
}
