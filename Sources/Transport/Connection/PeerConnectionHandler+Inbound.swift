import NIOCore

/// The answer to a request of the peer.
struct Reply {
    let requestID: UInt64
    let kind: FrameKind
    let message: TransportMessage
}

/// Frames of the peer, its requests, and keep-alive.
extension PeerConnectionHandler {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = unwrapInboundIn(data)
        hasHeard = true
        do throws(FrameError) {
            while let frame = try decoder.next(from: &input) {
                counters.framesReceived += 1
                counters.bytesReceived += UInt64(frame.header.frameBytes)
                receive(frame)
                if case .closed = state { return }
            }
        } catch {
            violation(error.description)
        }
    }

    private func receive(_ frame: Frame) {
        switch state {
        case .handshaking: violation("data before the end of the handshake")
        case .greeting(let peer): receiveGreeting(frame, from: peer)
        case .closed: return
        case .ready:
            switch frame.header.kind {
            case .request, .oneway: receiveRequest(frame)
            case .response, .error: receiveAnswer(frame)
            case .ping: answerPing()
            case .pong: return
            }
        }
    }

    private func receiveRequest(_ frame: Frame) {
        let id = frame.header.requestID
        guard inbound[id] == nil else { return violation("a request id that is in use") }
        guard inboundWindow.fits(frame.header.frameBytes) else {
            return violation("more unanswered requests than the window allows")
        }
        inboundWindow.take(frame.header.frameBytes)
        inbound[id] = frame.header.frameBytes
        updateInboundCounters()
        // A peer that does not take its answers gets no more of them made.
        if deferred.isEmpty, context?.channel.isWritable == true {
            start(frame)
        } else {
            deferred.append(frame)
            counters.deferredRequests = deferred.count
        }
    }

    func startDeferred() {
        while isReady, context?.channel.isWritable == true, let frame = deferred.popFirst() {
            counters.deferredRequests = deferred.count
            start(frame)
        }
    }

    private func start(_ frame: Frame) {
        guard case .ready(let connection) = state else { return }
        let id = frame.header.requestID
        let message = frame.message
        switch frame.header.kind {
        case .request:
            if let direct = shared.handlers.direct,
                direct(
                    message, connection,
                    { connection.finish(id, kind: .response, reply: $0) })
            {
                return
            }
            guard let request = shared.handlers.request else { return refuse(id) }
            Task {
                let reply = await request(message, connection)
                connection.finish(id, kind: .response, reply: reply)
            }
        default:
            guard let oneway = shared.handlers.oneway else { return refuse(id) }
            Task {
                await oneway(message, connection)
                connection.finish(
                    id, kind: .response, reply: TransportMessage(body: ByteBuffer()))
            }
        }
    }

    private func refuse(_ id: UInt64) {
        let refusal = PeerRefusal(.noHandler, "\(shared.credentials.node) takes no such messages")
        finish(id, kind: .error, reply: TransportMessage(body: refusal.encoded()))
    }

    /// A handler is done: its answer goes out as soon as the output has room.
    func finish(_ id: UInt64, kind: FrameKind, reply: TransportMessage) {
        guard isReady else { return }
        do throws(TransportError) {
            try reply.checkSize()
            replies.append(Reply(requestID: id, kind: kind, message: reply))
        } catch {
            logger.error(
                "an answer is too large to send", metadata: ["detail": "\(error.message)"])
            let refusal = PeerRefusal(.replyTooLarge, "the answer was too large: \(error.message)")
            replies.append(
                Reply(
                    requestID: id, kind: .error,
                    message: TransportMessage(body: refusal.encoded())))
        }
        writeReplies()
    }

    /// Writes answers as far as there is room; with each its request leaves the window.
    func writeReplies() {
        // A write can change writability, which comes back here.
        guard !isWritingReplies else { return }
        isWritingReplies = true
        defer { isWritingReplies = false }
        while isReady, context?.channel.isWritable == true, let reply = replies.popFirst() {
            if let bytes = inbound.removeValue(forKey: reply.requestID) {
                inboundWindow.giveBack(bytes)
            }
            write(reply.kind, reply.requestID, reply.message)
        }
        updateInboundCounters()
    }

    func updateInboundCounters() {
        counters.deferredRequests = deferred.count
        counters.waitingReplies = replies.count
        counters.inboundRequests = inboundWindow.count
        counters.inboundBytes = inboundWindow.bytes
        counters.inboundBytesPeak = max(counters.inboundBytesPeak, inboundWindow.bytes)
    }

    // MARK: Keep-alive

    func startKeepalive(_ eventLoop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let interval = TimeAmount(shared.configuration.keepaliveInterval)
        keepalive = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            bound.value.lookAtSilence()
        }
    }

    /// Each side says something in every interval, so that the other can tell silence from patience.
    ///
    /// Silence is counted in intervals that this side lived through: a side that was stopped does
    /// not take its own pause for the peer's.
    private func lookAtSilence() {
        silentIntervals = hasHeard ? 0 : silentIntervals + 1
        hasHeard = false
        if silentIntervals >= shared.configuration.missedIntervalsMaximum {
            return close(
                TransportError(
                    .peerSilent,
                    "nothing heard for \(silentIntervals) intervals of "
                        + "\(shared.configuration.keepaliveInterval)"))
        }
        let hasSaidSomething = hasSent
        hasSent = false
        // With output waiting, the peer is being sent to as fast as it takes it.
        if !hasSaidSomething, context?.channel.isWritable == true {
            write(.ping, 0, TransportMessage(body: ByteBuffer()))
        }
    }

    /// A peer that pings without reading gets no output piled up for it.
    private func answerPing() {
        if context?.channel.isWritable == true {
            write(.pong, 0, TransportMessage(body: ByteBuffer()))
        }
    }
}
