import NIOCore

/// One message: a body that some codec understands, and bulk bytes that nobody looks into.
public struct TransportMessage: Sendable, Equatable {
    /// At most `TransportLimits.bodyMaximumBytes`.
    public var body: ByteBuffer
    /// At most `TransportLimits.payloadMaximumBytes`; an empty payload arrives as nil.
    public var payload: ByteBuffer?

    public init(body: ByteBuffer, payload: ByteBuffer? = nil) {
        self.body = body
        self.payload = payload
    }

    var payloadBytes: Int { payload?.readableBytes ?? 0 }

    /// The size of the frame that carries this message.
    var frameBytes: Int { FrameHeader.encodedBytes + body.readableBytes + payloadBytes }

    func checkSize() throws(TransportError) {
        guard body.readableBytes <= TransportLimits.bodyMaximumBytes else {
            throw TransportError(
                .messageTooLarge,
                "a body of \(body.readableBytes) bytes; the limit is "
                    + "\(TransportLimits.bodyMaximumBytes)")
        }
        guard payloadBytes <= TransportLimits.payloadMaximumBytes else {
            throw TransportError(
                .messageTooLarge,
                "a payload of \(payloadBytes) bytes; the limit is "
                    + "\(TransportLimits.payloadMaximumBytes)")
        }
    }
}
