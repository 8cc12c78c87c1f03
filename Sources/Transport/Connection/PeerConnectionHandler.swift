import Logging
import NIOCore
import NIOSSL
import NIOTLS

/// Runs one connection, on its event loop: greeting, frames in and out, keep-alive, the end.
///
/// TLS 1.3 lets a client finish its handshake before the server has looked at its certificate. So a
/// connection counts only after a greeting: the client's first ping, which names the lane, and the
/// server's pong.
final class PeerConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum State {
        case handshaking
        /// TLS stands and the peer is known; the greeting is not over.
        case greeting(PeerIdentity)
        case ready(PeerConnection)
        case closed
    }

    let shared: ConnectionContext
    let ready: EventLoopPromise<PeerConnection>
    var logger: Logger
    var state = State.handshaking
    var context: ChannelHandlerContext?
    var decoder = FrameDecoder()
    var counters = ConnectionCounters()

    // Requests of this side.
    var outboundWindow = RequestWindow(lane: .metadata)
    var outstanding: [UInt64: OutstandingCall] = [:]
    var waiting: [UInt64: OutboundCall] = [:]
    var waitingTimeouts: [UInt64: Scheduled<Void>] = [:]
    /// The order of `waiting`; may still name calls that have gone.
    var waitingOrder = CircularBuffer<UInt64>()
    var isSendingWaiting = false

    // Requests of the peer.
    var inboundWindow = RequestWindow(lane: .metadata)
    /// The frames' bytes of requests without an answer.
    var inbound: [UInt64: Int] = [:]
    /// Requests that wait until the peer takes our output.
    var deferred = CircularBuffer<Frame>()
    /// Answers that wait for the same; kept out of TLS, which would copy them.
    var replies = CircularBuffer<Reply>()
    var isWritingReplies = false

    var unflushedBytes = 0
    var isFlushScheduled = false
    /// Since the last look at the keep-alive.
    var hasHeard = false
    var hasSent = false
    var silentIntervals = 0
    var keepalive: RepeatedTask?
    var handshakeTimeout: Scheduled<Void>?
    private var closed: EventLoopPromise<TransportError>?

    /// - Parameter ready: gets the connection after the greeting, or why there is none. Always
    ///   completed.
    init(_ shared: ConnectionContext, ready: EventLoopPromise<PeerConnection>, logger: Logger) {
        self.shared = shared
        self.ready = ready
        self.logger = logger
    }

    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    // MARK: The channel's life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        logger[metadataKey: "remote"] = "\(Self.remote(context))"
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        handshakeTimeout = context.eventLoop.scheduleTask(
            in: .seconds(Int64(TransportLimits.handshakeSeconds))
        ) {
            bound.value.close(
                TransportError(
                    .handshakeFailed,
                    "no greeting within \(TransportLimits.handshakeSeconds) s of connecting"))
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        close(TransportError(.connectionLost, "the channel has gone"))
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        close(TransportError(.connectionLost, "the peer closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .handshaking = state {
            close(TransportError(.handshakeFailed, "TLS failed: \(error)"))
        } else {
            close(TransportError(.connectionLost, "the connection failed: \(error)"))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted = event {
            greet(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeReplies()
        startDeferred()
        sendWaiting()
        context.fireChannelWritabilityChanged()
    }

    // MARK: The greeting

    private func greet(_ context: ChannelHandlerContext) {
        guard case .handshaking = state else { return }
        do throws(TransportError) {
            let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
            let peer = try shared.credentials.identity(of: certificate)
            logger[metadataKey: "peer"] = "\(peer)"
            state = .greeting(peer)
            guard case .client(let node, let lane) = shared.role else { return }
            // TLS has compared the DNS name; the common name is what everything else goes by.
            guard peer.node == node else {
                throw TransportError(
                    .wrongPeer, "\(peer) answered at an address where \(node) was expected")
            }
            var body = ByteBuffer()
            body.writeInteger(lane.rawValue)
            write(.ping, 0, TransportMessage(body: body))
        } catch {
            close(error)
        }
    }

    /// Takes the first frame: the client's ping with the lane, or the server's pong.
    func receiveGreeting(_ frame: Frame, from peer: PeerIdentity) {
        switch (shared.role, frame.header.kind) {
        case (.server, .ping):
            guard frame.body.readableBytes == 1,
                let lane = frame.body.getInteger(at: frame.body.readerIndex, as: UInt8.self)
                    .flatMap(Lane.init(rawValue:))
            else { return violation("a greeting that names no lane") }
            write(.pong, 0, TransportMessage(body: ByteBuffer()))
            becomeReady(peer, lane)
        case (.client(_, let lane), .pong):
            becomeReady(peer, lane)
        default:
            violation("a frame of kind \(frame.header.kind) before the greeting")
        }
    }

    private func becomeReady(_ peer: PeerIdentity, _ lane: Lane) {
        guard let context, case .greeting = state else { return }
        handshakeTimeout?.cancel()
        let closed = context.eventLoop.makePromise(of: TransportError.self)
        self.closed = closed
        let connection = PeerConnection(
            peer: peer, lane: lane, remoteAddress: Self.remote(context),
            eventLoop: context.eventLoop, handler: self, closed: closed.futureResult)
        state = .ready(connection)
        outboundWindow = RequestWindow(lane: lane)
        inboundWindow = RequestWindow(lane: lane)
        startKeepalive(context.eventLoop)
        shared.handlers.connected(connection)
        ready.succeed(connection)
    }

    // MARK: The end

    func violation(_ what: String) {
        close(TransportError(.protocolViolation, "the peer sent \(what)"))
    }

    /// Ends the connection, once: every call fails now, whatever TLS still has to say.
    func close(_ error: TransportError) {
        if case .closed = state { return }
        let ended = state
        state = .closed
        log(error, after: ended)
        handshakeTimeout?.cancel()
        keepalive?.cancel()
        failCalls(error)
        deferred.removeAll()
        inbound = [:]
        replies.removeAll()
        inboundWindow = RequestWindow(lane: .metadata)
        updateInboundCounters()
        context?.close(promise: nil)
        if case .ready(let connection) = ended {
            shared.handlers.disconnected(connection, error)
        }
        ready.fail(error)
        closed?.succeed(error)
    }

    /// Warnings are for what an operator must look into; a connection's normal end is not.
    private func log(_ error: TransportError, after state: State) {
        let level: Logger.Level
        switch (error.code, state) {
        case (.closed, _): level = .debug
        case (.connectionLost, .ready): level = .info
        default: level = .warning
        }
        logger.log(
            level: level, "connection closed",
            metadata: ["reason": "\(error.code.rawValue)", "detail": "\(error.message)"])
    }

    private static func remote(_ context: ChannelHandlerContext) -> String {
        TransportAddress(context.remoteAddress)?.description ?? "unknown"
    }
}
