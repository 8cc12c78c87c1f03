import Logging
import NIOCore
import Synchronization

/// One connection of the server: takes requests, has the engine do them, sends the replies in the
/// order in which they are ready.
final class StoreSession: Sendable {
    private struct State {
        var isGreeted = false
        var isClosed = false
        var inFlight: [UInt64: InFlight] = [:]
        var inFlightBytes = 0
        var unsentBytes = 0
    }

    private struct InFlight {
        var task: Task<Void, Never>
        var isPoll: Bool
    }

    private let channel: any Channel
    private let engine: SQLiteStoreEngine
    private let logger: Logger
    private let state = Mutex(State())

    init(channel: any Channel, engine: SQLiteStoreEngine, logger: Logger) {
        self.channel = channel
        self.engine = engine
        self.logger = logger
    }

    /// On the channel's event loop.
    func receive(_ bytes: [UInt8]) {
        let message: StoreMessage<StoreRequest>
        do {
            message = try StoreMessage(decoding: bytes)
        } catch {
            return drop("a request cannot be decoded: \(error)")
        }
        if case .hello(let version) = message.body {
            greet(message.number, version)
        } else if !state.withLock({ $0.isGreeted }) {
            drop("the first message is not a greeting")
        } else if case .cancel(let number) = message.body {
            cancel(number)
        } else {
            start(message, bytes: bytes.count)
        }
    }

    /// Closes the connection, and says why in the log.
    func drop(_ reason: String, level: Logger.Level = .warning) {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst {
            logger.log(
                level: level, "connection closed", metadata: ["reason": "\(reason)"])
            channel.close(promise: nil)
        }
    }

    /// The connection is gone: nobody waits for its watches. Transactions run to their end.
    func closed() {
        let polls = state.withLock { state in
            state.isClosed = true
            return state.inFlight.values.filter(\.isPoll).map(\.task)
        }
        for poll in polls { poll.cancel() }
    }

    private func greet(_ number: UInt64, _ version: UInt16) {
        let isFirst = state.withLock { state in
            defer { state.isGreeted = true }
            return !state.isGreeted
        }
        if !isFirst { return drop("a second greeting") }
        if version != StoreHello.version {
            return drop("the client speaks version \(version), not \(StoreHello.version)")
        }
        send(number, .hello(StoreHello(storeID: engine.storeID, revision: engine.revision)))
    }

    private func cancel(_ number: UInt64) {
        let poll = state.withLock { state in
            state.inFlight[number].flatMap { $0.isPoll ? $0.task : nil }
        }
        poll?.cancel()
    }

    private enum Admission {
        case admitted, full, repeated, closed
    }

    private func start(_ message: StoreMessage<StoreRequest>, bytes: Int) {
        let number = message.number
        let isPoll = if case .poll = message.body { true } else { false }
        let admission: Admission = state.withLock { state in
            if state.isClosed { return .closed }
            if state.inFlight[number] != nil { return .repeated }
            if state.inFlight.count >= StoreLimits.requestsInFlight
                || state.inFlightBytes + bytes > StoreLimits.requestBytesInFlight
            {
                return .full
            }
            state.inFlightBytes += bytes
            let task = Task {
                let reply = await self.perform(message.body)
                self.state.withLock { state in
                    state.inFlight[number] = nil
                    state.inFlightBytes -= bytes
                }
                if let reply { self.send(number, reply) }
            }
            state.inFlight[number] = InFlight(task: task, isPoll: isPoll)
            return .admitted
        }
        switch admission {
        case .admitted, .closed: break
        case .repeated: drop("request number \(number) is used twice")
        case .full:
            send(number, .failure(.limitExceeded("too many requests in flight; wait for replies")))
        }
    }

    /// Nil when the request was cancelled.
    private func perform(_ request: StoreRequest) async -> StoreReply? {
        do {
            return try await reply(to: request)
        } catch let error as StoreError {
            return .failure(error)
        } catch is CancellationError {
            return nil
        } catch {
            logger.error("a request failed", metadata: ["error": "\(error)"])
            return .failure(.outcomeUnknown("\(error)"))
        }
    }

    private func reply(to request: StoreRequest) async throws -> StoreReply {
        switch request {
        case .get(let key):
            return .get(try await engine.get(key))
        case .range(let prefix, let after, let limit):
            return .range(try await engine.range(prefix: prefix, after: after, limit: limit))
        case .transaction(let transaction):
            return .transaction(
                try await engine.transaction(
                    compares: transaction.compares, success: transaction.success,
                    failure: transaction.failure))
        case .grantLease(let ttlSeconds):
            return .lease(try await engine.grantLease(ttlSeconds: ttlSeconds))
        case .keepAlive(let lease):
            return .lease(try await engine.keepAlive(lease))
        case .revokeLease(let lease):
            return .revoked(revision: try await engine.revokeLease(lease))
        case .poll(let prefix, let fromRevision, let waitMilliseconds):
            let wait = min(waitMilliseconds, StoreLimits.watchPollSeconds * 1000)
            return .page(
                try await engine.poll(
                    prefix: prefix, fromRevision: fromRevision, wait: .milliseconds(wait)))
        case .hello, .cancel:
            preconditionFailure("not a request for the engine")
        }
    }

    private func send(_ number: UInt64, _ reply: StoreReply) {
        let buffer = StoreFrame.buffer(StoreMessage(number: number, body: reply))
        let bytes = buffer.readableBytes
        let (isClosed, unsent) = state.withLock { state in
            state.unsentBytes += bytes
            return (state.isClosed, state.unsentBytes)
        }
        if isClosed { return }
        if unsent > StoreLimits.unsentReplyBytes {
            return drop("the peer does not take its replies: \(unsent) bytes wait")
        }
        channel.writeAndFlush(buffer).whenComplete { _ in
            self.state.withLock { $0.unsentBytes -= bytes }
        }
    }
}

/// Hands what comes in on a channel to its session.
final class StoreSessionHandler: ChannelInboundHandler {
    typealias InboundIn = [UInt8]

    private let session: StoreSession

    init(_ session: StoreSession) {
        self.session = session
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        session.receive(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that was killed is no protocol error.
        session.drop("\(error)", level: error is IOError ? .info : .warning)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        session.closed()
        context.fireChannelInactive()
    }
}
