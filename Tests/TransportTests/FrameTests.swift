import NIOCore
import Testing

@testable import Transport

@Suite struct FrameTests {
    private func encode(_ frame: Frame) -> ByteBuffer {
        var buffer = ByteBuffer()
        frame.header.encode(into: &buffer)
        buffer.writeImmutableBuffer(frame.body)
        if let payload = frame.payload { buffer.writeImmutableBuffer(payload) }
        return buffer
    }

    private func frame(_ kind: FrameKind, id: UInt64, body: Int, payload: Int) -> Frame {
        Frame(
            header: FrameHeader(kind: kind, requestID: id, bodyBytes: body, payloadBytes: payload),
            body: bytes(body), payload: payload == 0 ? nil : bytes(payload, seed: 9))
    }

    @Test func `the header's bytes are those of the table`() {
        var buffer = ByteBuffer()
        FrameHeader(kind: .oneway, requestID: 0x0102_0304_0506_0708, bodyBytes: 5, payloadBytes: 6)
            .encode(into: &buffer)
        #expect(
            Array(buffer.readableBytesView) == [
                0x43, 0x56, 0x4F, 0x4C, 1, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 5, 0, 0, 0, 6,
            ])
    }

    @Test func `frames come back whole, however the stream is cut`() throws {
        let frames = [
            frame(.request, id: .max, body: 10, payload: 100),
            frame(.response, id: 0, body: 0, payload: 0),
            frame(.oneway, id: 3, body: 0, payload: 1),
            frame(.error, id: 4, body: 30, payload: 0),
            frame(.ping, id: 0, body: 1, payload: 0),
        ]
        let stream = frames.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer(encode($1)) }
        for step in 1...stream.readableBytes {
            var decoder = FrameDecoder()
            var rest = stream
            var decoded: [Frame] = []
            while rest.readableBytes > 0 {
                var part = rest.readSlice(length: min(step, rest.readableBytes))!
                while let frame = try decoder.next(from: &part) { decoded.append(frame) }
                #expect(part.readableBytes == 0)
            }
            #expect(decoded == frames, "cut every \(step) bytes")
        }
    }

    @Test func `a payload of a page and more can go to a disk as it is`() throws {
        let page = TransportLimits.payloadAlignmentBytes
        for size in [page, page + 1, 300 << 10, TransportLimits.payloadMaximumBytes] {
            for step in [4_000, size] {
                let sent = frame(.request, id: 1, body: 10, payload: size)
                var decoder = FrameDecoder()
                var rest = encode(sent)
                var got: Frame?
                while rest.readableBytes > 0 {
                    var part = rest.readSlice(length: min(step, rest.readableBytes))!
                    got = try decoder.next(from: &part)
                }
                #expect(got == sent)
                let address = got?.payload?.withUnsafeReadableBytes {
                    Int(bitPattern: $0.baseAddress)
                }
                #expect(try #require(address) % page == 0)
            }
        }
    }

    @Test func `each field that is wrong has its error, and the stream stays broken`() {
        func header(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var buffer = ByteBuffer()
            FrameHeader(kind: .request, requestID: 1, bodyBytes: 0, payloadBytes: 0)
                .encode(into: &buffer)
            var bytes = Array(buffer.readableBytesView)
            change(&bytes)
            return bytes
        }
        let bodyOver = UInt32(TransportLimits.bodyMaximumBytes + 1)
        let payloadOver = UInt32(TransportLimits.payloadMaximumBytes + 1)
        func put(_ value: UInt32, at offset: Int, in bytes: inout [UInt8]) {
            for index in 0..<4 {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * index))
            }
        }
        let cases: [([UInt8], FrameError)] = [
            (header { $0[0] = 0 }, .badMagic(0x0056_4F4C)),
            (header { $0[4] = 2 }, .unsupportedVersion(2)),
            (header { $0[5] = 0 }, .unknownKind(0)),
            (header { $0[5] = 7 }, .unknownKind(7)),
            (header { $0[7] = 1 }, .unknownFlags(1)),
            (header { put(bodyOver, at: 16, in: &$0) }, .bodyTooLarge(kind: 1, bytes: bodyOver)),
            (
                header { put(payloadOver, at: 20, in: &$0) },
                .payloadTooLarge(kind: 1, bytes: payloadOver)
            ),
            (
                header {
                    $0[5] = 5
                    put(17, at: 16, in: &$0)
                }, .bodyTooLarge(kind: 5, bytes: 17)
            ),
            (
                header {
                    $0[5] = 4
                    put(1, at: 20, in: &$0)
                }, .payloadTooLarge(kind: 4, bytes: 1)
            ),
        ]
        for (bytes, expected) in cases {
            for step in [1, 24] {
                var decoder = FrameDecoder()
                var input = ByteBuffer(bytes: bytes)
                #expect(throws: expected) {
                    while var part = input.readSlice(length: min(step, input.readableBytes)),
                        part.readableBytes > 0
                    {
                        _ = try decoder.next(from: &part)
                    }
                }
                var good = ByteBuffer(bytes: header { _ in })
                #expect(throws: expected) { try decoder.next(from: &good) }
            }
        }
    }

    /// Streams of good frames with damage, cut anywhere. Set COVOL_FUZZ_SEED to run one again.
    @Test func `damaged streams give frames or an error, and hold one frame at most`() throws {
        let seed = fuzzSeed()
        print("frame fuzz seed \(seed)")
        var random = SplitMix(state: seed)
        var errors = 0
        var decoded = 0
        for _ in 0..<3_000 {
            var stream = ByteBuffer()
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let kind = FrameKind.allCases.randomElement(using: &random)!
                let body = Int.random(in: 0...min(kind.bodyMaximumBytes, 300), using: &random)
                let payload = Int.random(in: 0...min(kind.payloadMaximumBytes, 300), using: &random)
                stream.writeImmutableBuffer(
                    encode(
                        frame(
                            kind, id: .random(in: 0 ... .max, using: &random), body: body,
                            payload: payload)))
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                stream.setInteger(
                    UInt8.random(in: 0...255, using: &random),
                    at: Int.random(in: 0..<stream.readableBytes, using: &random))
            }
            var decoder = FrameDecoder()
            feeding: while stream.readableBytes > 0 {
                let count = Int.random(in: 1...min(200, stream.readableBytes), using: &random)
                var part = stream.readSlice(length: count)!
                do throws(FrameError) {
                    while let frame = try decoder.next(from: &part) {
                        decoded += 1
                        #expect(frame.body.readableBytes == frame.header.bodyBytes)
                        #expect(frame.payload?.readableBytes ?? 0 == frame.header.payloadBytes)
                        #expect(frame.body.readableBytes <= frame.header.kind.bodyMaximumBytes)
                    }
                    #expect(part.readableBytes == 0, "seed \(seed)")
                } catch {
                    errors += 1
                    #expect(!error.description.isEmpty)
                    break feeding
                }
            }
        }
        #expect(errors > 100 && decoded > 100, "the fuzz reaches both outcomes")
    }

    @Test func `random bytes never pass`() {
        let seed = fuzzSeed()
        print("random bytes seed \(seed)")
        var random = SplitMix(state: seed)
        for _ in 0..<2_000 {
            var input = ByteBuffer(
                bytes: (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) })
            var decoder = FrameDecoder()
            #expect(throws: FrameError.self) { try decoder.next(from: &input) }
        }
    }

    @Test func `a refusal comes back, cut to its limit`() throws {
        let refusal = PeerRefusal(.noHandler, String(repeating: "x", count: 5_000))
        let body = refusal.encoded()
        #expect(body.readableBytes == FrameKind.error.bodyMaximumBytes)
        let decoded = try #require(PeerRefusal(decoding: body))
        #expect(decoded.error.code == .refusedByPeer)
        #expect(decoded.text.count == TransportLimits.errorTextMaximumBytes)
        #expect(PeerRefusal(decoding: ByteBuffer(bytes: [1])) == nil)
    }

    @Test func `limits relate as they must`() {
        TransportLimits.assertRelations()
    }

    @Test func `back-off doubles to its limit and starts again`() {
        var backoff = Backoff(initial: .milliseconds(100), maximum: .milliseconds(350))
        var random = SplitMix(state: 1)
        for limit in [100, 200, 350, 350] {
            let delay = backoff.delay(using: &random)
            #expect(delay >= .milliseconds(limit) / 2 && delay <= .milliseconds(limit))
        }
        backoff.reset()
        #expect(backoff.delay(using: &random) <= .milliseconds(100))
    }
}
