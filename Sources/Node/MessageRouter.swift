import Locking
import Logging
import NIOCore
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// Takes what peers send to the volume that it is for.
final class MessageRouter: Sendable {
    private let manager = Lock<VolumeManager?>(nil)
    private let machines = Lock<MachineManager?>(nil)
    private let log: Logger

    init(log: Logger) { self.log = log }

    func use(_ manager: VolumeManager, _ machines: MachineManager) {
        self.manager.withLock { $0 = manager }
        self.machines.withLock { $0 = machines }
    }

    var handlers: TransportHandlers {
        TransportHandlers(
            request: { [self] message, connection in await answer(message, from: connection) },
            direct: { [self] message, connection, answer in
                serve(message, connection.peer, answer)
            })
    }

    /// Hands a request to its coordinator on the event loop itself. False: it is something else, or
    /// not in order.
    private func serve(
        _ message: TransportMessage, _ peer: PeerIdentity,
        _ answer: @escaping TransportHandlers.Answer
    ) -> Bool {
        guard message.kind == .toCoordinator,
            let decoded = try? message.decoded(as: NodeMessage.self),
            case .request(let header, let sequence, let slot, let operation) = decoded,
            let volume = manager.withLock({ $0?.instance(header.volume) })
        else { return false }
        volume.serve(
            header, sequence: sequence, slot: slot, operation, payload: message.payload, from: peer
        ) { answer(TransportMessage(.toCoordinator, $0, payload: $1)) }
        return true
    }

    private func answer(
        _ message: TransportMessage, from connection: PeerConnection
    ) async -> TransportMessage {
        do {
            switch message.kind {
            case .toCoordinator: return try await toCoordinator(message, connection.peer)
            case .toNode: return try await toNode(message, connection.peer)
            case .statistics: return statistics()
            case .heartbeat: return TransportMessage(.heartbeat, json: [String]())
            case .fencePath: return try await fencePath(message, connection.peer)
            case .resetMachine:
                let problem = await machines.withLock { $0 }?.reset(
                    try message.decodedJSON(as: String.self))
                return TransportMessage(
                    .resetMachine, json: ResetMachineAnswer(problem: problem ?? nil))
            case .console:
                let request = try message.decodedJSON(as: ConsoleRequest.self)
                try request.exchange.validate()
                let reply = await machines.withLock { $0 }?.console(
                    request, from: connection.peer.node)
                return TransportMessage(
                    .console, json: reply ?? ConsoleReply(problem: "the daemon is starting"))
            case nil: throw DecodingFailure.unknown("message kind", number: 0)
            }
        } catch {
            log.warning(
                "a damaged message closes its connection",
                metadata: ["peer": "\(connection.peer)", "error": "\(error)"])
            connection.close()
            return TransportMessage(.toCoordinator, CoordinatorReply.refused(.malformed))
        }
    }

    private func toCoordinator(
        _ message: TransportMessage, _ peer: PeerIdentity
    ) async throws -> TransportMessage {
        let decoded = try message.decoded(as: NodeMessage.self)
        guard let volume = manager.withLock({ $0?.instance(decoded.header.volume) }) else {
            return TransportMessage(.toCoordinator, CoordinatorReply.refused(.unknownVolume))
        }
        let (reply, payload) = await volume.serve(decoded, payload: message.payload, from: peer)
        return TransportMessage(.toCoordinator, reply, payload: payload)
    }

    private func toNode(
        _ message: TransportMessage, _ peer: PeerIdentity
    ) async throws -> TransportMessage {
        let decoded = try message.decoded(as: CoordinatorMessage.self)
        guard let volume = manager.withLock({ $0?.instance(decoded.header.volume) }) else {
            return TransportMessage(.toNode, NodeReply.refused(.unknownVolume))
        }
        return TransportMessage(.toNode, await volume.answer(decoded, from: peer))
    }

    private func fencePath(
        _ message: TransportMessage, _ peer: PeerIdentity
    ) async throws -> TransportMessage {
        let request = try message.decodedJSON(as: FencePathRequest.self)
        guard let id = VolumeID(request.volume),
            let volume = manager.withLock({ $0?.instance(id) })
        else {
            return TransportMessage(
                .fencePath, json: FencePathAnswer(isProven: false, text: "no such volume"))
        }
        return TransportMessage(
            .fencePath, json: await volume.fencePath(request, of: peer.node))
    }

    private func statistics() -> TransportMessage {
        let manager = manager.withLock { $0 }
        return TransportMessage(.statistics, json: manager?.counts ?? [:])
    }
}
