import NIOCore
import Synchronization

/// One connection to a peer of the cluster, verified on both sides.
///
/// It is the same on both ends: either may `call` and `send`, whoever opened it. All methods may be
/// used from any thread. The event loops must outlive it.
public final class PeerConnection: Sendable {
    private static let nextID = Atomic<UInt64>(1)

    public let id: ConnectionID
    /// Who is at the other end, as its certificate says.
    public let peer: PeerIdentity
    public let lane: Lane
    /// The other end's address, for messages and logs.
    public let remoteAddress: String
    let eventLoop: any EventLoop
    private let handler: NIOLoopBound<PeerConnectionHandler>
    private let closed: EventLoopFuture<TransportError>

    init(
        peer: PeerIdentity, lane: Lane, remoteAddress: String, eventLoop: any EventLoop,
        handler: PeerConnectionHandler, closed: EventLoopFuture<TransportError>
    ) {
        self.id = ConnectionID(
            rawValue: Self.nextID.wrappingAdd(1, ordering: .relaxed).oldValue)
        self.peer = peer
        self.lane = lane
        self.remoteAddress = remoteAddress
        self.eventLoop = eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
        self.closed = closed
    }

    /// Sends a request and waits for its answer. Answers come in any order.
    ///
    /// Waits first for room in the window of unanswered requests and in the output. A cancelled or
    /// timed-out request is not recalled: the peer's handler still runs, and the request keeps its
    /// place in the window until the answer.
    ///
    /// - Parameter timeout: for waiting and answer together; nil waits as long as the connection
    ///   lives.
    /// - Throws: `isOutcomeUnknown` says whether the peer may have done it.
    public func call(
        _ message: TransportMessage, timeout: Duration? = nil
    ) async throws(TransportError) -> TransportMessage {
        try await submit(message, kind: .request, timeout: timeout)
    }

    /// As `call`, without a task that waits. `completion` is called once, on the connection's event
    /// loop or the caller's thread, and must not block.
    public func call(
        _ message: TransportMessage, completion: @escaping @Sendable (CallResult) -> Void
    ) {
        do throws(TransportError) {
            try message.checkSize()
        } catch {
            return completion(.failure(error))
        }
        let call = OutboundCall(
            ticket: CallTicket(), kind: .request, message: message, timeout: nil,
            continuation: .closure(completion))
        eventLoop.execute { self.handler.value.submit(call) }
    }

    /// Sends a message without an answer. Returns when it is written, which says nothing about its
    /// arrival. Waits for room like `call`.
    public func send(
        _ message: TransportMessage, timeout: Duration? = nil
    ) async throws(TransportError) {
        _ = try await submit(message, kind: .oneway, timeout: timeout)
    }

    private func submit(
        _ message: TransportMessage, kind: OutboundCall.Kind, timeout: Duration?
    ) async throws(TransportError) -> TransportMessage {
        try message.checkSize()
        let ticket = CallTicket()
        let result: CallResult = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let call = OutboundCall(
                    ticket: ticket, kind: kind, message: message, timeout: timeout,
                    continuation: .task(continuation))
                eventLoop.execute { self.handler.value.submit(call) }
            }
        } onCancel: {
            ticket.cancel()
            eventLoop.execute {
                self.handler.value.abandon(
                    ticket.id, TransportError.Code.cancelled, "the caller's task was cancelled")
            }
        }
        return try result.get()
    }

    func finish(_ requestID: UInt64, kind: FrameKind, reply: TransportMessage) {
        eventLoop.execute { self.handler.value.finish(requestID, kind: kind, reply: reply) }
    }

    /// Closes the connection. Outstanding calls fail with `.connectionLost`.
    public func close() {
        eventLoop.execute {
            self.handler.value.close(TransportError(.closed, "this side closed the connection"))
        }
    }

    /// Waits until the connection is closed, by whatever cause.
    ///
    /// - Returns: why.
    @discardableResult
    public func waitUntilClosed() async -> TransportError {
        do {
            return try await closed.get()
        } catch {
            return TransportError(.closed, "\(error)")
        }
    }

    /// What the connection holds at this moment.
    public func counters() async -> ConnectionCounters {
        await withCheckedContinuation { continuation in
            eventLoop.execute { continuation.resume(returning: self.handler.value.counters) }
        }
    }
}
