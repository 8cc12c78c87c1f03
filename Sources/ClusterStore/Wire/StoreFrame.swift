import NIOCore

/// A frame: the body's length in 32 bits, big-endian, then the body.
enum StoreFrame {
    static let headerBytes = 4

    static func buffer(_ request: StoreMessage<StoreRequest>) -> ByteBuffer {
        buffer { request.encode(into: &$0) }
    }

    static func buffer(_ reply: StoreMessage<StoreReply>) -> ByteBuffer {
        buffer { reply.encode(into: &$0) }
    }

    private static func buffer(_ encode: (inout WireWriter) -> Void) -> ByteBuffer {
        var writer = WireWriter()
        encode(&writer)
        precondition(writer.bytes.count <= StoreLimits.frameBytes, "a frame beyond its limit")
        var buffer = ByteBufferAllocator().buffer(capacity: headerBytes + writer.bytes.count)
        buffer.writeInteger(UInt32(writer.bytes.count))
        buffer.writeBytes(writer.bytes)
        return buffer
    }
}

/// Cuts the byte stream into bodies of frames; a length beyond the limit is refused when it is
/// read, before anything is kept for it.
struct StoreFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = [UInt8]

    mutating func decode(
        context: ChannelHandlerContext, buffer: inout ByteBuffer
    ) throws -> DecodingState {
        guard let body = try Self.body(in: &buffer) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(body))
        return .continue
    }

    static func body(in buffer: inout ByteBuffer) throws(WireError) -> [UInt8]? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else {
            return nil
        }
        if length > UInt32(StoreLimits.frameBytes) {
            throw WireError("a frame of \(length) bytes, the most is \(StoreLimits.frameBytes)")
        }
        guard buffer.readableBytes >= StoreFrame.headerBytes + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: StoreFrame.headerBytes)
        return buffer.readBytes(length: Int(length))
    }
}
