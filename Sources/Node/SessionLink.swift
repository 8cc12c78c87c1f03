import CoordinatorService
import Logging
import NIOCore
import Synchronization
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A node's session with one coordinator of one volume: on this node or on another.
final class SessionLink: CoordinatorLink {
    private enum Way {
        case none
        case local(Coordinator, NodeIdentity)
        case remote(PeerClient, MessageHeader)
        /// The volume is gone.
        case closed
    }

    private struct State {
        var way = Way.none
        var lastSequence: UInt64 = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let log: Logger

    init(log: Logger) { self.log = log }

    /// Uses a coordinator of this node.
    func connect(_ coordinator: Coordinator, as session: NodeIdentity) {
        open(.local(coordinator, session))
    }

    /// Opens the session with another node's coordinator; returns the root that it shows.
    func connect(_ client: PeerClient, _ header: MessageHeader) async throws -> FileEntry {
        let answer = try await client.call(
            TransportMessage(.toCoordinator, NodeMessage.openSession(header)),
            timeout: .seconds(10))
        switch try answer.decoded(as: CoordinatorReply.self) {
        case .sessionOpened(let root):
            open(.remote(client, header))
            return root
        case .refused(let refusal):
            throw NodeError("the coordinator does not open a session: \(refusal)")
        case .result, .sessionClosed:
            throw NodeError("the coordinator answered something else than it was asked")
        }
    }

    private func open(_ way: Way) {
        let waiting = state.withLock { state in
            state.way = way
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Everything waits until there is a coordinator again.
    func disconnect() { open(.none) }

    /// The end: whoever calls or waits gets an error.
    func close() async {
        let way = state.withLock { $0.way }
        if case .remote(let client, let header) = way {
            _ = try? await client.call(
                TransportMessage(.toCoordinator, NodeMessage.closeSession(header)),
                timeout: .seconds(5))
        }
        open(.closed)
    }

    private enum Next {
        case go(Way, UInt64)
        case wait
        case closed
    }

    func call(
        _ operation: Operation, payload: ByteBuffer?, sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        while true {
            let next: Next = state.withLock { state in
                switch state.way {
                case .none: return .wait
                case .closed: return .closed
                case .local, .remote:
                    state.lastSequence += 1
                    return .go(state.way, state.lastSequence)
                }
            }
            switch next {
            case .closed:
                return LinkAnswer(.failed(.notConnected))
            case .wait:
                await waitForWay()
            case .go(let way, let sequence):
                sent?(sequence)
                if let answer = await perform(operation, payload, way, sequence) { return answer }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func waitForWay() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if case .none = state.way {
                    state.waiting.append(continuation)
                    return false
                }
                return true
            }
            if isThere { continuation.resume() }
        }
    }

    /// Nil: nothing was sent, and the call may be made again.
    private func perform(
        _ operation: Operation, _ payload: ByteBuffer?, _ way: Way, _ sequence: UInt64
    ) async -> LinkAnswer? {
        switch way {
        case .local(let coordinator, let session):
            guard
                let answer = try? await coordinator.request(
                    session, sequence: sequence, operation, payload: payload)
            else { return nil }
            return LinkAnswer(answer.result, payload: answer.payload)
        case .remote(let client, let header):
            return await send(operation, payload, client, header, sequence)
        case .none, .closed:
            return nil
        }
    }

    private func send(
        _ operation: Operation, _ payload: ByteBuffer?, _ client: PeerClient,
        _ header: MessageHeader, _ sequence: UInt64
    ) async -> LinkAnswer? {
        let message = NodeMessage.request(
            header, sequence: sequence, slot: Operation.noSlot, operation)
        do {
            let answer = try await client.call(
                TransportMessage(.toCoordinator, message, payload: payload),
                lane: operation.lane)
            switch try answer.decoded(as: CoordinatorReply.self) {
            case .result(sequence, let result):
                return LinkAnswer(result, payload: answer.payload)
            case .refused(.malformed):
                return LinkAnswer(.failed(.protocolError))
            case .refused(let refusal):
                // Nothing was done: the coordinator has changed, and this session follows it.
                log.debug("a request was refused", metadata: ["refusal": "\(refusal)"])
                try await Task.sleep(for: .milliseconds(150))
                return nil
            case .result, .sessionOpened, .sessionClosed:
                return LinkAnswer(.failed(.protocolError))
            }
        } catch let error as TransportError where !error.isOutcomeUnknown {
            if error.code == .messageTooLarge { return LinkAnswer(.failed(.invalid)) }
            return nil
        } catch {
            // Whether it was done is not known: only what may be done twice is asked again.
            if error is TransportError, operation.isRepeatable { return nil }
            log.warning("a request was lost", metadata: ["error": "\(error)"])
            return LinkAnswer(.failed(.inputOutput))
        }
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

    /// Doing it twice is as good as once.
    var isRepeatable: Bool {
        switch self {
        case .root, .lookup, .attributes, .readLink, .readDirectory, .statistics,
            .extendedAttribute, .extendedAttributes, .seek, .testLock, .read, .layoutGet,
            .layoutReturn, .synchronize, .cancelLock, .unlockOwner:
            true
        default:
            false
        }
    }
}
