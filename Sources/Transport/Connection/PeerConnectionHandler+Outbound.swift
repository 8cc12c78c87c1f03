import NIOCore

/// Requests of this side, and the writing of frames.
extension PeerConnectionHandler {
    /// Sends a call, or lets it wait for room.
    func submit(_ call: OutboundCall) {
        guard isReady, let context else {
            return call.continuation.resume(
                returning: .failure(TransportError(.notConnected, "the connection is closed")))
        }
        guard !call.ticket.isCancelled else {
            return call.continuation.resume(
                returning: .failure(
                    TransportError(.cancelled, "the caller's task was cancelled")))
        }
        if waiting.isEmpty, canSend(call) { return transmit(call, timeout: nil) }
        guard waiting.count < TransportLimits.waitingCallsMaximum else {
            return call.continuation.resume(
                returning: .failure(
                    TransportError(
                        .tooManyCalls,
                        "\(waiting.count) calls already wait on this connection")))
        }
        waiting[call.ticket.id] = call
        waitingOrder.append(call.ticket.id)
        forgetGoneWaiting()
        waitingTimeouts[call.ticket.id] = schedule(call, context)
        counters.waitingCalls = waiting.count
    }

    private func canSend(_ call: OutboundCall) -> Bool {
        outboundWindow.fits(call.message.frameBytes) && context?.channel.isWritable == true
    }

    private func transmit(_ call: OutboundCall, timeout: Scheduled<Void>?) {
        guard let context else { return }
        let frameBytes = call.message.frameBytes
        outboundWindow.take(frameBytes)
        var sent = OutstandingCall(frameBytes: frameBytes)
        switch call.kind {
        case .request:
            sent.continuation = call.continuation
            sent.timeout = timeout ?? schedule(call, context)
        case .oneway:
            timeout?.cancel()
        }
        outstanding[call.ticket.id] = sent
        updateOutboundCounters()
        write(call.kind == .request ? .request : .oneway, call.ticket.id, call.message)
        if call.kind == .oneway {
            call.continuation.resume(
                returning: .success(TransportMessage(body: ByteBuffer())))
        }
    }

    /// Sends waiting calls in their order, as far as there is room.
    func sendWaiting() {
        // A write can change writability, which comes back here.
        guard !isSendingWaiting else { return }
        isSendingWaiting = true
        defer { isSendingWaiting = false }
        while isReady, let id = waitingOrder.first {
            if let call = waiting[id] {
                guard canSend(call) else { return }
                waiting[id] = nil
                counters.waitingCalls = waiting.count
                waitingOrder.removeFirst()
                transmit(call, timeout: waitingTimeouts.removeValue(forKey: id))
            } else {
                waitingOrder.removeFirst()
            }
        }
    }

    /// The caller has gone: a waiting call is dropped, a sent one keeps its place in the window.
    func abandon(_ id: UInt64, _ code: TransportError.Code, _ message: String) {
        if let call = waiting.removeValue(forKey: id) {
            waitingTimeouts.removeValue(forKey: id)?.cancel()
            counters.waitingCalls = waiting.count
            call.continuation.resume(returning: .failure(TransportError(code, message)))
            // The one that has gone may have been the one too large to fit.
            sendWaiting()
        } else if let continuation = outstanding[id]?.continuation {
            outstanding[id]?.timeout?.cancel()
            outstanding[id]?.timeout = nil
            outstanding[id]?.continuation = nil
            continuation.resume(
                returning: .failure(TransportError(code, message, isOutcomeUnknown: true)))
        }
    }

    /// Takes a response or an error of the peer.
    func receiveAnswer(_ frame: Frame) {
        guard let call = outstanding.removeValue(forKey: frame.header.requestID) else {
            return violation("an answer to a request that was not sent")
        }
        call.timeout?.cancel()
        outboundWindow.giveBack(call.frameBytes)
        updateOutboundCounters()
        let result: CallResult
        if frame.header.kind == .error {
            guard let refusal = PeerRefusal(decoding: frame.body) else {
                call.continuation?.resume(
                    returning: .failure(
                        TransportError(
                            .protocolViolation, "an error that cannot be read",
                            isOutcomeUnknown: true)))
                return violation("an error that cannot be read")
            }
            result = .failure(refusal.error)
            if call.continuation == nil {
                logger.debug(
                    "the peer refused a message nobody waits for",
                    metadata: ["detail": "\(refusal.text)"])
            }
        } else {
            result = .success(frame.message)
        }
        call.continuation?.resume(returning: result)
        sendWaiting()
    }

    func failCalls(_ error: TransportError) {
        let (sent, unsent) = (outstanding, waiting)
        outstanding = [:]
        waiting = [:]
        waitingOrder.removeAll()
        for timeout in waitingTimeouts.values { timeout.cancel() }
        waitingTimeouts = [:]
        for call in sent.values {
            call.timeout?.cancel()
            call.continuation?.resume(returning: .failure(error.afterSending))
        }
        for call in unsent.values {
            call.continuation.resume(returning: .failure(error.beforeSending))
        }
        counters.waitingCalls = 0
        outboundWindow = RequestWindow(lane: .metadata)
        updateOutboundCounters()
    }

    private func schedule(
        _ call: OutboundCall, _ context: ChannelHandlerContext
    ) -> Scheduled<Void>? {
        guard let timeout = call.timeout else { return nil }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let id = call.ticket.id
        return context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            bound.value.abandon(id, .timedOut, "no answer within \(timeout)")
        }
    }

    private func forgetGoneWaiting() {
        guard waitingOrder.count > 2 * TransportLimits.waitingCallsMaximum else { return }
        waitingOrder.removeAll { waiting[$0] == nil }
    }

    private func updateOutboundCounters() {
        counters.outstandingRequests = outboundWindow.count
        counters.outstandingBytes = outboundWindow.bytes
    }

    // MARK: Frames

    /// Writes a frame; small parts go together, large ones as the buffers that they are.
    func write(_ kind: FrameKind, _ id: UInt64, _ message: TransportMessage) {
        guard let context else { return }
        let header = FrameHeader(
            kind: kind, requestID: id, bodyBytes: message.body.readableBytes,
            payloadBytes: message.payloadBytes)
        var parts: [ByteBuffer] = []
        var capacity = FrameHeader.encodedBytes
        for part in [message.body, message.payload ?? ByteBuffer()] where part.readableBytes > 0 {
            parts.append(part)
            if part.readableBytes <= TransportLimits.coalesceMaximumBytes {
                capacity += part.readableBytes
            }
        }
        var head = context.channel.allocator.buffer(capacity: capacity)
        header.encode(into: &head)
        while let part = parts.first,
            part.readableBytes <= TransportLimits.coalesceMaximumBytes
        {
            head.writeImmutableBuffer(part)
            parts.removeFirst()
        }
        context.write(wrapOutboundOut(head), promise: nil)
        for part in parts { context.write(wrapOutboundOut(part), promise: nil) }
        hasSent = true
        counters.framesSent += 1
        counters.bytesSent += UInt64(header.frameBytes)
        flush(after: header.frameBytes, context)
    }

    /// Flushes once for all that this turn of the event loop writes, or when it is much.
    private func flush(after bytes: Int, _ context: ChannelHandlerContext) {
        unflushedBytes += bytes
        if unflushedBytes >= TransportLimits.flushBytes {
            unflushedBytes = 0
            context.flush()
        } else if !isFlushScheduled {
            isFlushScheduled = true
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.execute {
                bound.value.isFlushScheduled = false
                bound.value.unflushedBytes = 0
                bound.value.context?.flush()
            }
        }
    }
}
