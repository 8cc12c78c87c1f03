import NIOCore

/// A whole frame.
struct Frame: Equatable {
    var header: FrameHeader
    var body: ByteBuffer
    /// Nil when the frame has no payload bytes.
    var payload: ByteBuffer?

    var message: TransportMessage { TransportMessage(body: body, payload: payload) }
}

/// Cuts a stream of bytes into frames.
///
/// Each body and payload is copied once, into a buffer of its own of just its size: a frame never
/// keeps the read buffer alive, and one that waits for hours costs what it says it costs. A payload
/// begins where a page of memory does, so that direct I/O takes it as it is.
/// What it holds is bounded by one largest frame.
struct FrameDecoder {
    private var partialHeader = ByteBuffer()
    private var current: Frame?
    private var failure: FrameError?

    /// Takes bytes from `input`, up to the end of one frame.
    ///
    /// - Returns: a frame, or nil when `input` is used up.
    /// - Throws: the stream is not ours; every later call throws the same.
    mutating func next(from input: inout ByteBuffer) throws(FrameError) -> Frame? {
        if let failure { throw failure }
        if current == nil {
            guard let header = try decodeHeader(from: &input) else { return nil }
            current = Frame(
                header: header,
                body: Self.buffer(header.bodyBytes),
                payload: header.payloadBytes > 0 ? Self.alignedBuffer(header.payloadBytes) : nil)
        }
        guard var frame = current.take() else { return nil }
        Self.fill(&frame.body, to: frame.header.bodyBytes, from: &input)
        var isComplete = frame.body.readableBytes == frame.header.bodyBytes
        if isComplete, var payload = frame.payload.take() {
            Self.fill(&payload, to: frame.header.payloadBytes, from: &input)
            isComplete = payload.readableBytes == frame.header.payloadBytes
            frame.payload = payload
        }
        if isComplete { return frame }
        current = frame
        return nil
    }

    private mutating func decodeHeader(
        from input: inout ByteBuffer
    ) throws(FrameError) -> FrameHeader? {
        do throws(FrameError) {
            if partialHeader.readableBytes == 0, input.readableBytes >= FrameHeader.encodedBytes {
                return try FrameHeader(decoding: &input)
            }
            Self.fill(&partialHeader, to: FrameHeader.encodedBytes, from: &input)
            guard partialHeader.readableBytes == FrameHeader.encodedBytes else { return nil }
            defer { partialHeader.clear() }
            return try FrameHeader(decoding: &partialHeader)
        } catch {
            failure = error
            throw error
        }
    }

    private static func buffer(_ capacity: Int) -> ByteBuffer {
        capacity == 0 ? ByteBuffer() : ByteBufferAllocator().buffer(capacity: capacity)
    }

    /// Below a page's size it begins anywhere.
    private static func alignedBuffer(_ capacity: Int) -> ByteBuffer {
        let page = TransportLimits.payloadAlignmentBytes
        guard capacity >= page else { return buffer(capacity) }
        var buffer = Self.buffer(capacity + page)
        let skip = buffer.withUnsafeMutableWritableBytes { memory in
            memory.baseAddress.map { -Int(bitPattern: $0) & (page - 1) } ?? 0
        }
        buffer.moveWriterIndex(forwardBy: skip)
        buffer.moveReaderIndex(forwardBy: skip)
        return buffer
    }

    private static func fill(
        _ buffer: inout ByteBuffer, to bytes: Int, from input: inout ByteBuffer
    ) {
        let wanted = min(bytes - buffer.readableBytes, input.readableBytes)
        guard wanted > 0, var slice = input.readSlice(length: wanted) else { return }
        buffer.writeBuffer(&slice)
    }
}
