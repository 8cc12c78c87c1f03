import CoordinatorCore
import HostFileSystem
import Logging
import NIOCore
import Synchronization
import VolumeModel
import VolumeProtocol

/// The way from a coordinator to a node of its volume.
public protocol NodePort: AnyObject, Sendable {
    /// Asks a node to give layouts back. Nil: the node did not answer; it keeps what it had.
    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport?
    /// Asks a node what it wrote directly. Nil: the node did not answer.
    func collectWrites(_ file: FileHandle) async -> WriteReport?
}

/// The answer to one request, with its bulk bytes.
public struct CoordinatorAnswer: Sendable {
    public var result: OperationResult
    public var payload: ByteBuffer?

    public init(_ result: OperationResult, payload: ByteBuffer? = nil) {
        self.result = result
        self.payload = payload
    }
}

/// One volume's coordinator: the shell around ``CoordinatorCore``. It owns the private mount, runs the
/// core's commands on threads of its own, holds results back until they are durable, and carries
/// recalls to the nodes.
public final class Coordinator: Sendable {
    private struct RequestKey: Hashable {
        var session: NodeIdentity
        var sequence: UInt64
    }

    private struct Waiting {
        var continuation: CheckedContinuation<CoordinatorAnswer, Never>
        var payload: ByteBuffer?
        var answer: ByteBuffer?
    }

    private struct State {
        var core: CoordinatorCore
        var ports: [NodeIdentity: any NodePort] = [:]
        var waiting: [RequestKey: Waiting] = [:]
        var isStopping = false
    }

    private let state: Mutex<State>
    private let runner: CommandRunner
    private let pool: WorkerPool
    private let commit: GroupCommit
    private let rules: SafetyRules
    private let log: Logger
    public let root: FileEntry

    /// Takes over a mounted volume. `threads` file system calls run at a time. `removesOrphans`: no
    /// node has a file of an earlier epoch open, so the hidden ones can go.
    public init(
        volume: HostVolume, rules: SafetyRules = .all, threads: Int = 8,
        removesOrphans: Bool = true, log: Logger
    ) throws {
        let pool = WorkerPool(threads: threads)
        self.pool = pool
        do {
            (runner, root) = try pool.perform {
                let runner = try CommandRunner(volume: volume, rules: rules)
                if removesOrphans { runner.removeOrphans(log: log) }
                return (runner, try runner.root())
            }
        } catch {
            pool.stop()
            throw error
        }
        commit = GroupCommit { () throws(ErrorCode) in try volume.sync() }
        state = Mutex(State(core: CoordinatorCore(rules: rules)))
        self.rules = rules
        self.log = log
    }

    /// Opens a node's session. A session of an earlier incarnation of the same node ends with it: the
    /// node opens a new one only when the I/O of its earlier life is over.
    public func openSession(_ session: NodeIdentity, port: any NodePort) {
        let earlier = state.withLock { state in
            state.ports.keys.filter { $0.name == session.name && $0 != session }
        }
        for old in earlier { endSession(old) }
        state.withLock { $0.ports[session] = port }
        handle(.sessionOpened(session))
    }

    public func endSession(_ session: NodeIdentity) {
        // First, so that no request is taken that nobody would answer.
        handle(.sessionEnded(session))
        let orphaned = state.withLock { state in
            state.ports[session] = nil
            let keys = state.waiting.keys.filter { $0.session == session }
            return keys.compactMap { state.waiting.removeValue(forKey: $0) }
        }
        for waiting in orphaned {
            waiting.continuation.resume(returning: CoordinatorAnswer(.failed(.notConnected)))
        }
    }

    public func hasSession(_ session: NodeIdentity) -> Bool {
        state.withLock { $0.core.hasSession(session) }
    }

    /// Performs one request. It waits as long as others' work, recalls or locks take.
    public func request(
        _ session: NodeIdentity, sequence: UInt64, _ operation: Operation,
        payload: ByteBuffer? = nil
    ) async -> CoordinatorAnswer {
        await withCheckedContinuation { continuation in
            let key = RequestKey(session: session, sequence: sequence)
            let refusal: ErrorCode? = state.withLock { state in
                guard !state.isStopping, state.core.hasSession(session) else {
                    return .notConnected
                }
                guard state.waiting[key] == nil else { return .protocolError }
                guard state.waiting.count < ServiceLimits.requestsMaximum else {
                    return .busy
                }
                state.waiting[key] = Waiting(continuation: continuation, payload: payload)
                return nil
            }
            if let refusal {
                continuation.resume(returning: CoordinatorAnswer(.failed(refusal)))
                return
            }
            handle(
                .request(
                    session, sequence: sequence, operation,
                    payloadBytes: payload?.readableBytes ?? 0))
        }
    }

    /// Ends the coordinator's threads, and with them its use of the mount; the owner then closes it.
    public func stop() {
        let waiting = state.withLock { state in
            state.isStopping = true
            defer { state.waiting = [:] }
            return state.waiting
        }
        for entry in waiting.values {
            entry.continuation.resume(returning: CoordinatorAnswer(.failed(.notConnected)))
        }
        pool.stop()
        commit.stop()
    }

    private func handle(_ event: CoordinatorEvent) {
        var actions: [CoordinatorAction] = []
        state.withLock { $0.core.handle(event, into: &actions) }
        for action in actions { perform(action) }
    }

    private func perform(_ action: CoordinatorAction) {
        switch action {
        case .execute(let task, let command):
            pool.submit { [self] in run(command, of: task) }
        case .reply(let session, let sequence, let result):
            let key = RequestKey(session: session, sequence: sequence)
            guard let waiting = state.withLock({ $0.waiting.removeValue(forKey: key) }) else {
                return
            }
            waiting.continuation.resume(
                returning: CoordinatorAnswer(result, payload: waiting.answer))
        case .recall(let id, let session, let file, let range, let generation):
            ask(session, id) { await $0.recall(file, range, generation) }
        case .collectWrites(let id, let session, let file):
            ask(session, id) { await $0.collectWrites(file) }
        }
    }

    private func ask(
        _ session: NodeIdentity, _ recall: RecallID,
        _ question: @escaping @Sendable (any NodePort) async -> WriteReport?
    ) {
        guard let port = state.withLock({ $0.ports[session] }) else { return }
        Task {
            if let report = await question(port) {
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
        let key = state.withLock { state in
            state.core.request(of: task).map {
                RequestKey(session: $0.session, sequence: $0.sequence)
            }
        }
        let payload = key.flatMap { key in state.withLock { $0.waiting[key]?.payload } }
        let number = command.isChange ? commit.begin() : nil
        let outcome = runner.run(command, payload: payload)
        if let number { commit.end(number) }
        if let answer = outcome.payload, let key {
            state.withLock { $0.waiting[key]?.answer = answer }
        }
        if command.needsNoCommit(rules) {
            handle(.executed(task, outcome.result))
            return
        }
        commit.whenDurable { [self] isDurable in
            handle(.executed(task, isDurable ? outcome.result : .failed(.inputOutput)))
        }
    }
}

extension Command {
    /// May leave something in the journal that is not on the LUN yet.
    var isChange: Bool {
        switch self {
        case .resolve, .stat, .map: false
        case .perform(let operation): operation.isChange
        case .hide, .renameHiding, .removeHidden, .grow, .settle: true
        }
    }

    /// What a broken rule lets out early; nothing where the rules hold.
    func needsNoCommit(_ rules: SafetyRules) -> Bool {
        switch self {
        case .map, .grow: !rules.contains(.durableBeforeGrant)
        default: !rules.contains(.durableBeforeShown)
        }
    }
}

extension Operation {
    /// Changes the file system.
    var isChange: Bool {
        switch self {
        case .root, .lookup, .attributes, .readLink, .open, .readDirectory, .statistics,
            .extendedAttribute, .extendedAttributes, .seek, .lock, .testLock, .cancelLock,
            .unlockOwner, .layoutGet, .layoutReturn, .release, .read, .reclaimLayout,
            .reclaimLock, .reclaimed:
            false
        case .setAttributes, .create, .createUnnamed, .makeNode, .makeDirectory,
            .makeSymbolicLink, .link, .unlink, .removeDirectory, .rename, .setExtendedAttribute,
            .removeExtendedAttribute, .allocate, .copyRange, .synchronize, .layoutGrow, .write:
            true
        }
    }
}

extension Coordinator {
    /// Writes the volume's ownership mark, durably.
    public func writeMark(_ bytes: [UInt8]) throws {
        try pool.perform { [runner] in try runner.directory.writeMark(bytes) }
    }

    /// Takes the coordinator's own directory off the volume, so that nothing of us is left on it.
    public func removeMark() throws {
        try pool.perform { [runner] in try runner.directory.removeItself() }
    }
}
