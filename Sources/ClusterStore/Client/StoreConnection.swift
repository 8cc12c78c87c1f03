import NIOCore
import NIOPosix
import Synchronization

/// How an exchange failed, as far as the connection knows.
enum ExchangeFailure: Error {
    /// The connection was closed before the whole request was sent: the store has not seen it.
    case notSent
    /// The connection broke, or the time ran out, between request and reply.
    case lost(String)
    case timedOut
}

/// One connection of a client: many exchanges at once, each ended by its reply, its time, its
/// task's cancellation or the connection's end.
final class StoreConnection: Sendable {
    private struct State {
        var closedBecause: String?
        var nextNumber: UInt64 = 1
        var pending: [UInt64: Pending] = [:]
    }

    private struct Pending {
        var done: CheckedContinuation<StoreReply, any Error>
        var timer: Scheduled<Void>
        var isPoll: Bool
        /// The kernel has taken the whole request.
        var isSent = false
    }

    private let channel: any Channel
    private let state = Mutex(State())

    private init(channel: any Channel) {
        self.channel = channel
    }

    static func connect(
        socketPath: String, group: any EventLoopGroup
    ) async throws -> StoreConnection {
        let channel = try await ClientBootstrap(group: group)
            .connectTimeout(.seconds(2))
            .channelOption(.autoRead, value: false)
            .connect(unixDomainSocketPath: socketPath).get()
        let connection = StoreConnection(channel: channel)
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandlers([
                ByteToMessageHandler(StoreFrameDecoder()), StoreConnectionHandler(connection),
            ])
        }.get()
        channel.closeFuture.whenComplete { _ in connection.closed("the store closed it") }
        try await channel.setOption(.autoRead, value: true).get()
        return connection
    }

    var isClosed: Bool { state.withLock { $0.closedBecause != nil } }

    func close() {
        channel.close(promise: nil)
    }

    /// Returns why the connection ended, when it has.
    func ended() async -> String {
        try? await channel.closeFuture.get()
        return state.withLock { $0.closedBecause } ?? "it was closed"
    }

    /// Throws `ExchangeFailure` or `CancellationError`.
    func exchange(_ request: StoreRequest, timeout: Duration) async throws -> StoreReply {
        let isPoll = if case .poll = request { true } else { false }
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { done in
                let timer = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
                    self.finish(number, .failure(ExchangeFailure.timedOut))
                }
                let isOpen = state.withLock { state in
                    if state.closedBecause != nil { return false }
                    state.pending[number] = Pending(done: done, timer: timer, isPoll: isPoll)
                    return true
                }
                guard isOpen else {
                    timer.cancel()
                    return done.resume(throwing: ExchangeFailure.notSent)
                }
                send(number, request)
                // The cancellation may have come before there was anything to cancel.
                if Task.isCancelled { finish(number, .failure(CancellationError())) }
            }
        } onCancel: {
            finish(number, .failure(CancellationError()))
        }
    }

    private func send(_ number: UInt64, _ request: StoreRequest) {
        let frame = StoreFrame.buffer(StoreMessage(number: number, body: request))
        // Called on the event loop before the connection's end is: see `closed`.
        channel.writeAndFlush(frame).whenSuccess {
            self.state.withLock { $0.pending[number]?.isSent = true }
        }
    }

    private func finish(_ number: UInt64, _ result: Result<StoreReply, any Error>) {
        guard let pending = state.withLock({ $0.pending.removeValue(forKey: number) }) else {
            return
        }
        pending.timer.cancel()
        if case .failure = result, pending.isPoll { send(0, .cancel(request: number)) }
        pending.done.resume(with: result)
    }

    /// On the channel's event loop.
    func receive(_ bytes: [UInt8]) {
        do {
            let message = try StoreMessage<StoreReply>(decoding: bytes)
            // Nobody waits any more for a reply that came too late.
            finish(message.number, .success(message.body))
        } catch {
            closed("a reply cannot be decoded: \(error)")
            close()
        }
    }

    /// On the channel's event loop.
    func closed(_ reason: String) {
        let pending = state.withLock { state in
            if state.closedBecause == nil { state.closedBecause = reason }
            defer { state.pending = [:] }
            return state.pending.values.map { $0 }
        }
        for exchange in pending {
            exchange.timer.cancel()
            exchange.done.resume(
                throwing: exchange.isSent ? ExchangeFailure.lost(reason) : .notSent)
        }
    }
}

/// Hands what comes in on a channel to its connection.
private final class StoreConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = [UInt8]

    private let connection: StoreConnection

    init(_ connection: StoreConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.receive(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.closed("\(error)")
        context.close(promise: nil)
    }
}
