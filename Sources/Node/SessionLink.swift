import CoordinatorService
import Logging
import NIOCore
import Synchronization
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

    private struct State {
        var way = Way.none
        var lastSequence: UInt64 = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
        var freeSlots = Array((0..<UInt16(Limits.slotsPerSession)).reversed())
        var slotWaiters: [CheckedContinuation<UInt16, Never>] = []
        /// Attempts whose answer is waited for, by number.
        var attempts: [UInt64: CheckedContinuation<LinkAnswer?, Never>] = [:]
        var lastAttempt: UInt64 = 0
        /// Goes up with every change of way.
        var generation: UInt64 = 0
        /// Goes up when this node was fenced: what was asked before is never asked again.
        var life: UInt64 = 0
        /// The session is new, and not everything is told yet: only what tells may pass.
        var isReclaiming = false
    }

    private let state = Mutex(State())
    private let log: Logger

    init(log: Logger) { self.log = log }

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
            TransportMessage(.toCoordinator, NodeMessage.openSession(header)),
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
        for continuation in waiting { continuation.resume() }
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
        for continuation in waiting { continuation.resume() }
        for attempt in attempts.values { attempt.resume(returning: nil) }
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
        while true {
            let way: Way? = state.withLock { $0.generation == generation ? $0.way : nil }
            guard let way else { return LinkAnswer(.failed(.notConnected)) }
            let sequence = nextSequence()
            if let answer = await attempt(operation, nil, way, sequence, Operation.noSlot) {
                return answer
            }
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
        guard operation.needsSlot else {
            return await repeated(operation, payload, slot: Operation.noSlot, sent)
        }
        let slot = await takeSlot()
        defer { returnSlot(slot) }
        return await repeated(operation, payload, slot: slot, sent)
    }

    private enum Next {
        case go(Way)
        case wait
        case closed
        case lost
    }

    private func repeated(
        _ operation: Operation, _ payload: ByteBuffer?, slot: UInt16,
        _ sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        var (sequence, life) = (nextSequence(), state.withLock { $0.life })
        while true {
            let next: Next = state.withLock { state in
                if state.life != life {
                    // Without a slot nothing is changed, and it may begin anew.
                    if slot != Operation.noSlot { return .lost }
                    life = state.life
                }
                return switch state.way {
                case .none: .wait
                case .closed: .closed
                case .local, .remote: state.isReclaiming ? .wait : .go(state.way)
                }
            }
            switch next {
            case .lost:
                return LinkAnswer(.failed(.inputOutput))
            case .closed:
                return LinkAnswer(.failed(.notConnected))
            case .wait:
                await waitForWay()
            case .go(let way):
                sent?(sequence)
                if let answer = await attempt(operation, payload, way, sequence, slot) {
                    return answer
                }
                // A slot's request keeps its number: that is how a repetition is known.
                if slot == Operation.noSlot { sequence = nextSequence() }
            }
        }
    }

    private func nextSequence() -> UInt64 {
        state.withLock { state in
            state.lastSequence += 1
            return state.lastSequence
        }
    }

    private func takeSlot() async -> UInt16 {
        await withCheckedContinuation { continuation in
            let slot: UInt16? = state.withLock { state in
                if let slot = state.freeSlots.popLast() { return slot }
                state.slotWaiters.append(continuation)
                return nil
            }
            if let slot { continuation.resume(returning: slot) }
        }
    }

    private func returnSlot(_ slot: UInt16) {
        let next: CheckedContinuation<UInt16, Never>? = state.withLock { state in
            guard state.slotWaiters.isEmpty else { return state.slotWaiters.removeFirst() }
            state.freeSlots.append(slot)
            return nil
        }
        next?.resume(returning: slot)
    }

    private func waitForWay() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                switch state.way {
                case .closed: return true
                case .local, .remote: if !state.isReclaiming { return true }
                case .none: break
                }
                state.waiting.append(continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    /// Nil: there is no answer, and the request is made again; also where the way has changed while
    /// it was under way. What comes of it then is nobody's: that coordinator is no more.
    private func attempt(
        _ operation: Operation, _ payload: ByteBuffer?, _ way: Way, _ sequence: UInt64,
        _ slot: UInt16
    ) async -> LinkAnswer? {
        await withCheckedContinuation { continuation in
            let number = state.withLock { state in
                state.lastAttempt += 1
                state.attempts[state.lastAttempt] = continuation
                return state.lastAttempt
            }
            Task {
                let answer = await self.perform(operation, payload, way, sequence, slot)
                self.state.withLock { $0.attempts.removeValue(forKey: number) }?
                    .resume(returning: answer)
            }
        }
    }

    private func perform(
        _ operation: Operation, _ payload: ByteBuffer?, _ way: Way, _ sequence: UInt64,
        _ slot: UInt16
    ) async -> LinkAnswer? {
        switch way {
        case .local(let coordinator, let session, let mayAnswer):
            do throws(Refusal) {
                let answer = try await coordinator.request(
                    session, sequence: sequence, slot: slot, operation, payload: payload)
                guard mayAnswer() else { throw .notCoordinator }
                return LinkAnswer(
                    answer.result, payload: answer.payload, grant: answer.grant)
            } catch {
                log.debug("a request was refused", metadata: ["refusal": "\(error)"])
                try? await Task.sleep(for: Self.retryDelay)
                return nil
            }
        case .remote(let client, let header):
            return await send(operation, payload, client, header, sequence, slot)
        case .none, .closed:
            return nil
        }
    }

    private static let retryDelay = Duration.milliseconds(50)

    private func send(
        _ operation: Operation, _ payload: ByteBuffer?, _ client: PeerClient,
        _ header: MessageHeader, _ sequence: UInt64, _ slot: UInt16
    ) async -> LinkAnswer? {
        let message = NodeMessage.request(header, sequence: sequence, slot: slot, operation)
        do {
            let answer = try await client.call(
                TransportMessage(.toCoordinator, message, payload: payload),
                lane: operation.lane)
            switch try answer.decoded(as: CoordinatorReply.self) {
            case .result(sequence, let result, let grant):
                return LinkAnswer(result, payload: answer.payload, grant: grant)
            case .refused(.malformed):
                return LinkAnswer(.failed(.protocolError))
            case .refused(let refusal):
                // Nothing was done: the coordinator has changed, and this session follows it.
                log.debug("a request was refused", metadata: ["refusal": "\(refusal)"])
            case .result, .sessionOpened, .sessionClosed:
                return LinkAnswer(.failed(.protocolError))
            }
        } catch let error as TransportError where error.code == .messageTooLarge {
            return LinkAnswer(.failed(.invalid))
        } catch {
            log.debug("a request found no answer", metadata: ["error": "\(error)"])
        }
        try? await Task.sleep(for: Self.retryDelay)
        return nil
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
