import NIOCore
import Synchronization

/// The connections that a client has, and who waits for them.
final class PeerClientConnections: Sendable {
    private struct Waiter {
        let continuation: CheckedContinuation<Result<Void, TransportError>, Never>
        let timer: Scheduled<Void>

        func resume(_ result: Result<Void, TransportError>) {
            timer.cancel()
            continuation.resume(returning: result)
        }
    }

    private struct State {
        var connections: [Lane: [PeerConnection]] = [:]
        var turns: [Lane: Int] = [:]
        var isConnected = false
        var isClosed = false
        var reason = TransportError(.notConnected, "no attempt has ended yet")
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())
    private let lanes: Set<Lane>
    private let eventLoop: any EventLoop
    private let onStateChange: @Sendable (PeerClientState) -> Void

    init(
        lanes: Set<Lane>, eventLoop: any EventLoop,
        onStateChange: @escaping @Sendable (PeerClientState) -> Void
    ) {
        self.lanes = lanes
        self.eventLoop = eventLoop
        self.onStateChange = onStateChange
    }

    var all: [PeerConnection] { state.withLock { $0.connections.values.flatMap { $0 } } }
    var isConnected: Bool { state.withLock { $0.isConnected } }
    /// Why the last connection broke, or could not be made.
    var reason: TransportError { state.withLock { $0.reason } }

    func next(_ lane: Lane) -> PeerConnection? {
        state.withLock { state in
            guard let connections = state.connections[lane], !connections.isEmpty else {
                return nil
            }
            let turn = state.turns[lane, default: 0]
            state.turns[lane] = turn &+ 1
            return connections[abs(turn % connections.count)]
        }
    }

    /// The same handlers, which also keep this up to date.
    func observing(_ handlers: TransportHandlers) -> TransportHandlers {
        var observing = handlers
        observing.connected = { connection in
            handlers.connected(connection)
            self.add(connection)
        }
        observing.disconnected = { connection, reason in
            self.remove(connection, reason)
            handlers.disconnected(connection, reason)
        }
        return observing
    }

    private func add(_ connection: PeerConnection) {
        let (waiters, isRefused) = state.withLock { state -> ([Waiter], Bool) in
            // The client may have been closed while this connection was being made.
            if state.isClosed { return ([], true) }
            state.connections[connection.lane, default: []].append(connection)
            guard lanes.allSatisfy({ state.connections[$0]?.isEmpty == false }) else {
                return ([], false)
            }
            if !state.isConnected {
                state.isConnected = true
                report(.connected)
            }
            defer { state.waiters = [:] }
            return (Array(state.waiters.values), false)
        }
        if isRefused { connection.close() }
        for waiter in waiters { waiter.resume(.success(())) }
    }

    private func remove(_ connection: PeerConnection, _ reason: TransportError) {
        state.withLock { state in
            state.connections[connection.lane]?.removeAll { $0.id == connection.id }
            state.reason = reason
            if state.isConnected, state.connections[connection.lane]?.isEmpty != false {
                state.isConnected = false
                report(.disconnected(reason))
            }
        }
    }

    func failed(_ reason: TransportError) {
        state.withLock { $0.reason = reason }
    }

    /// Called with the lock held, so that reports keep the order of what they tell.
    private func report(_ new: PeerClientState) {
        eventLoop.execute { self.onStateChange(new) }
    }

    /// Takes no more connections.
    ///
    /// - Returns: those to close.
    func close() -> [PeerConnection] {
        let error = TransportError(.closed, "the client was closed")
        let (connections, waiters) = state.withLock { state in
            state.isClosed = true
            state.reason = error
            defer { state.waiters = [:] }
            return (state.connections.values.flatMap { $0 }, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume(.failure(error)) }
        return connections
    }

    func waitUntilConnected(timeout: Duration) async throws(TransportError) {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let result: Result<Void, TransportError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known: Result<Void, TransportError>? = state.withLock { state in
                    if state.isConnected { return .success(()) }
                    if state.isClosed {
                        return .failure(TransportError(.closed, "the client was closed"))
                    }
                    // A cancellation or time-out after this finds the waiter, by the same lock.
                    if Task.isCancelled {
                        return .failure(TransportError(.cancelled, "cancelled while waiting"))
                    }
                    let timer = eventLoop.scheduleTask(in: TimeAmount(timeout)) {
                        let detail = "not connected within \(timeout): \(self.reason.message)"
                        self.giveUp(id, TransportError(.timedOut, detail))
                    }
                    state.waiters[id] = Waiter(continuation: continuation, timer: timer)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            self.giveUp(id, TransportError(.cancelled, "cancelled while waiting"))
        }
        try result.get()
    }

    private func giveUp(_ id: UInt64, _ error: TransportError) {
        let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
        waiter?.resume(.failure(error))
    }
}
