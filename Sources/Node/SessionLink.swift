import CoordinatorService
import Locking
import Logging
import NIOCore
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A node's session with the coordinator of one volume, on this node or on another, over as many
/// coordinators as there come to be. A request waits where there is none, and is asked again of the
/// next where one did not answer; what must not happen twice has a slot, by which a coordinator knows
/// a repetition (rule once).
final class SessionLink: CoordinatorLink {
    private enum Way {
        case none
        /// With the question whether this node still coordinates.
        case local(Coordinator, NodeIdentity, @Sendable () -> Bool)
        case remote(PeerClient, MessageHeader)
        /// The volume is gone.
        case closed
    }

    /// A request from its call to its answer.
    private struct Request: Sendable {
        var operation: Operation
        var payload: ByteBuffer?
        var sequence: UInt64
        var slot = Operation.noSlot
        /// The life that it was asked in.
        var life: UInt64
        /// Of a telling: the only coordinator that may answer it.
        var generation: UInt64?
        var sent: (@Sendable (UInt64) -> Void)?
        var completion: @Sendable (LinkAnswer) -> Void
    }

    private struct State {
        var way = Way.none
        var lastSequence: UInt64 = 0
        /// Requests that wait for a coordinator.
        var waiting: [Request] = []
        var freeSlots = Array((0..<UInt16(Limits.slotsPerSession)).reversed())
        var slotWaiters = CircularBuffer<Request>()
        /// Requests whose answer is waited for, by the attempt's number.
        var attempts: [UInt64: Request] = [:]
        var lastAttempt: UInt64 = 0
        /// Goes up with every change of way.
        var generation: UInt64 = 0
        /// Goes up when this node was fenced: what was asked before is never asked again.
        var life: UInt64 = 0
        /// The session is new, and not everything is told yet: only what tells may pass.
        var isReclaiming = false

        mutating func nextSequence() -> UInt64 {
            lastSequence += 1
            return lastSequence
        }
    }

    private let state = Lock(State())
    private let log: Logger
    /// The first request's number: above all that a process before has used in this session.
    private let firstSequence: UInt64

    init(log: Logger, firstSequence: UInt64 = 0) {
        self.log = log
        self.firstSequence = firstSequence
        state.withLock { $0.lastSequence = firstSequence }
    }

    /// Uses a coordinator of this node, as long as `mayAnswer` says so.
    func connect(
        _ coordinator: Coordinator, as session: NodeIdentity, reclaims: Bool,
        mayAnswer: @escaping @Sendable () -> Bool
    ) {
        open(.local(coordinator, session, mayAnswer), reclaims: reclaims)
    }

    /// Opens the session with another node's coordinator; returns the root that it shows.
    func connect(
        _ client: PeerClient, _ header: MessageHeader, reclaims: Bool
    ) async throws -> FileEntry {
        let answer = try await client.call(
            TransportMessage(
                .toCoordinator, NodeMessage.openSession(header, firstSequence: firstSequence)),
            timeout: .seconds(5))
        switch try answer.decoded(as: CoordinatorReply.self) {
        case .sessionOpened(let root):
            open(.remote(client, header), reclaims: reclaims)
            return root
        case .refused(let refusal):
            throw NodeError("the coordinator does not open a session: \(refusal)")
        case .result, .sessionClosed:
            throw NodeError("the coordinator answered something else than it was asked")
        }
    }

    /// Everything is told: what waited may go.
    func reclaimed() {
        let waiting = state.withLock { state in
            state.isReclaiming = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for request in waiting { proceed(request) }
    }

    /// What was asked of the coordinator before is asked of this one.
    private func open(_ way: Way, reclaims: Bool) {
        let (waiting, attempts) = state.withLock { state in
            state.way = way
            state.generation += 1
            state.isReclaiming = reclaims
            defer {
                state.waiting = []
                state.attempts = [:]
            }
            return (state.waiting, state.attempts)
        }
        for request in waiting { proceed(request) }
        for request in attempts.values { again(request) }
    }

    /// Everything waits until there is a coordinator again.
    func disconnect() { open(.none, reclaims: false) }

    /// This node was fenced while it lived: whether what is under way was done, nobody knows any more.
    /// It ends with EIO, and is not asked again.
    func loseEverything() {
        state.withLock { $0.life += 1 }
        disconnect()
    }

    /// The way to the present coordinator alone, for telling it what is held here. Once that
    /// coordinator is no more its requests fail, and so does the telling as a whole.
    func reclaimLink() -> ReclaimLink {
        ReclaimLink(link: self, generation: state.withLock { $0.generation })
    }

    fileprivate func reclaim(_ operation: Operation, generation: UInt64) async -> LinkAnswer {
        await withCheckedContinuation { continuation in
            let request = state.withLock { state in
                Request(
                    operation: operation, sequence: state.nextSequence(), life: state.life,
                    generation: generation, completion: { continuation.resume(returning: $0) })
            }
            proceed(request)
        }
    }

    /// The end: whoever calls or waits gets an error.
    func close() async {
        let way = state.withLock { $0.way }
        if case .remote(let client, let header) = way {
            _ = try? await client.call(
                TransportMessage(.toCoordinator, NodeMessage.closeSession(header)),
                timeout: .seconds(5))
        }
        open(.closed, reclaims: false)
    }

    // MARK: Requests

    func call(
        _ operation: Operation, payload: ByteBuffer?, sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        await withCheckedContinuation { continuation in
            begin(operation, payload, sent) { continuation.resume(returning: $0) }
        }
    }

    func call(
        _ operation: Operation, payload: ByteBuffer?,
        completion: @escaping @Sendable (LinkAnswer) -> Void
    ) {
        begin(operation, payload, nil, completion)
    }

    private func begin(
        _ operation: Operation, _ payload: ByteBuffer?, _ sent: (@Sendable (UInt64) -> Void)?,
        _ completion: @escaping @Sendable (LinkAnswer) -> Void
    ) {
        let request: Request? = state.withLock { state in
            var request = Request(
                operation: operation, payload: payload, sequence: 0, life: state.life, sent: sent,
                completion: completion)
            if operation.needsSlot {
                guard let slot = state.freeSlots.popLast() else {
                    state.slotWaiters.append(request)
                    return nil
                }
                request.slot = slot
            }
            request.sequence = state.nextSequence()
            return request
        }
        if let request { proceed(request) }
    }

    private enum Next {
        case go(Way, attempt: UInt64)
        case wait
        case end(ErrorCode)
    }

    /// Asks the present coordinator, or waits for one.
    private func proceed(_ request: Request) {
        var request = request
        let next: Next = state.withLock { state in
            if let generation = request.generation {
                guard generation == state.generation else { return .end(.notConnected) }
            } else if state.life != request.life {
                // Without a slot nothing is changed, and it may begin anew.
                if request.slot != Operation.noSlot { return .end(.inputOutput) }
                request.life = state.life
            }
            switch state.way {
            case .closed:
                return .end(.notConnected)
            case .none where request.generation != nil:
                return .end(.notConnected)
            case .none:
                state.waiting.append(request)
                return .wait
            case .local, .remote:
                if state.isReclaiming && request.generation == nil {
                    state.waiting.append(request)
                    return .wait
                }
                state.lastAttempt += 1
                state.attempts[state.lastAttempt] = request
                return .go(state.way, attempt: state.lastAttempt)
            }
        }
        switch next {
        case .wait: break
        case .end(let error): end(request, LinkAnswer(.failed(error)))
        case .go(let way, let attempt):
            request.sent?(request.sequence)
            perform(request, way) { self.attempted(attempt, $0) }
        }
    }

    /// Nil: there is no answer, and the request is made again a little later. Where the way has changed
    /// while it was under way it was made again then: what comes of it now is nobody's.
    private func attempted(_ attempt: UInt64, _ answer: LinkAnswer?) {
        if let answer {
            guard let request = state.withLock({ $0.attempts.removeValue(forKey: attempt) })
            else { return }
            return end(request, answer)
        }
        Task {
            try? await Task.sleep(for: Self.retryDelay)
            guard let request = state.withLock({ $0.attempts.removeValue(forKey: attempt) })
            else { return }
            again(request)
        }
    }

    private func again(_ request: Request) {
        var request = request
        // A slot's request keeps its number: that is how a repetition is known.
        if request.slot == Operation.noSlot {
            request.sequence = state.withLock { $0.nextSequence() }
        }
        proceed(request)
    }

    /// Gives the slot to whoever waits for one, and answers.
    private func end(_ request: Request, _ answer: LinkAnswer) {
        let next: Request? = state.withLock { state in
            guard request.slot != Operation.noSlot else { return nil }
            guard var next = state.slotWaiters.popFirst() else {
                state.freeSlots.append(request.slot)
                return nil
            }
            next.slot = request.slot
            next.sequence = state.nextSequence()
            next.life = state.life
            return next
        }
        request.completion(answer)
        if let next { proceed(next) }
    }

    private static let retryDelay = Duration.milliseconds(50)

    private func perform(
        _ request: Request, _ way: Way, _ completion: @escaping @Sendable (LinkAnswer?) -> Void
    ) {
        switch way {
        case .local(let coordinator, let session, let mayAnswer):
            coordinator.request(
                session, sequence: request.sequence, slot: request.slot, request.operation,
                payload: request.payload
            ) { result in
                switch result {
                case .success(let answer) where mayAnswer():
                    completion(
                        LinkAnswer(answer.result, payload: answer.payload, grant: answer.grant))
                case .success, .failure:
                    // Nothing is to be shown: the coordinator has changed, and this session follows it.
                    completion(nil)
                }
            }
        case .remote(let client, let header):
            let message = NodeMessage.request(
                header, sequence: request.sequence, slot: request.slot, request.operation)
            let sequence = request.sequence
            client.call(
                TransportMessage(.toCoordinator, message, payload: request.payload),
                lane: request.operation.lane
            ) { completion(Self.answer($0, to: sequence)) }
        case .none, .closed:
            completion(nil)
        }
    }

    private static func answer(_ result: CallResult, to asked: UInt64) -> LinkAnswer? {
        switch result {
        case .failure(let error) where error.code == .messageTooLarge:
            return LinkAnswer(.failed(.invalid))
        case .failure:
            return nil
        case .success(let message):
            guard let reply = try? message.decoded(as: CoordinatorReply.self) else { return nil }
            switch reply {
            case .result(asked, let result, let grant):
                return LinkAnswer(result, payload: message.payload, grant: grant)
            case .refused(.malformed):
                return LinkAnswer(.failed(.protocolError))
            case .refused:
                // Nothing was done: the coordinator has changed, and this session follows it.
                return nil
            case .result, .sessionOpened, .sessionClosed:
                return LinkAnswer(.failed(.protocolError))
            }
        }
    }
}

/// A ``SessionLink`` as long as its coordinator is the one that it was.
final class ReclaimLink: CoordinatorLink {
    private let link: SessionLink
    private let generation: UInt64

    fileprivate init(link: SessionLink, generation: UInt64) {
        self.link = link
        self.generation = generation
    }

    func call(
        _ operation: Operation, payload: ByteBuffer?, sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        await link.reclaim(operation, generation: generation)
    }
}

extension VolumeProtocol.Operation {
    /// Large answers and payloads keep out of the way of small ones.
    var lane: Lane {
        switch self {
        case .read, .write: .bulk
        default: .metadata
        }
    }
}
