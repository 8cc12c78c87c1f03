import NIOCore

/// What an error frame says: the transport of the peer did not bring the request to a handler, or
/// not its answer back. Errors of operations are messages, and not the transport's concern.
struct PeerRefusal: Equatable {
    enum Reason: UInt16 {
        case noHandler = 1
        case replyTooLarge = 2
    }

    var reason: UInt16
    var text: String

    func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(reason)
        buffer.writeBytes(text.utf8.prefix(TransportLimits.errorTextMaximumBytes))
        return buffer
    }

    init(_ reason: Reason, _ text: String) {
        self.reason = reason.rawValue
        self.text = text
    }

    /// Nil when the body is too short. Unknown reasons are kept: a newer peer may have more.
    init?(decoding body: ByteBuffer) {
        var body = body
        guard let reason = body.readInteger(as: UInt16.self) else { return nil }
        self.reason = reason
        self.text = String(buffer: body)
    }

    /// The handler ran when only its answer was too large.
    var error: TransportError {
        TransportError(
            .refusedByPeer, text, isOutcomeUnknown: reason != Reason.noHandler.rawValue)
    }
}
