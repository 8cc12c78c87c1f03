import NIOCore
import Testing

@testable import ClusterStore

@Suite struct CodecTests {
    @Test func theLimitsAgree() {
        #expect(StoreLimits.areConsistent)
    }

    @Test func messagesComeBackAsTheyWent() throws {
        for message in MessageSamples.requests {
            #expect(try StoreMessage(decoding: MessageSamples.bytes(message)) == message)
        }
        for message in MessageSamples.replies {
            #expect(try StoreMessage(decoding: MessageSamples.bytes(message)) == message)
        }
    }

    @Test func everyCutAndEveryAddedByteIsNoticed() {
        let requests = MessageSamples.requests.map(MessageSamples.bytes)
        for bytes in requests {
            for count in 0..<bytes.count {
                #expect(throws: WireError.self) {
                    try StoreMessage<StoreRequest>(decoding: Array(bytes.prefix(count)))
                }
            }
            #expect(throws: WireError.self) {
                try StoreMessage<StoreRequest>(decoding: bytes + [0])
            }
        }
        for bytes in MessageSamples.replies.map(MessageSamples.bytes) {
            for count in 0..<bytes.count {
                #expect(throws: WireError.self) {
                    try StoreMessage<StoreReply>(decoding: Array(bytes.prefix(count)))
                }
            }
            #expect(throws: WireError.self) {
                try StoreMessage<StoreReply>(decoding: bytes + [0])
            }
        }
    }

    @Test func declaredLengthsBeyondTheLimitsAreRefused() {
        var reader = WireReader([0xFF, 0xFF, 0xFF, 0xFF])
        #expect(throws: WireError.self) { try reader.blob(limit: 100) }
        var list = WireReader([0, 0, 0, 3, 1, 1])
        #expect(throws: WireError.self) {
            try list.list(limit: 100) { reader throws(WireError) in try reader.bool() }
        }
        var text = WireReader([0, 0, 0, 2, 0xC3, 0x28])
        #expect(throws: WireError.self) { try text.text(limit: 100) }
    }

    @Test func longErrorTextIsCutToItsLimit() throws {
        let long = String(repeating: "é", count: StoreLimits.errorTextBytes)
        let message = StoreMessage<StoreReply>(number: 1, body: .failure(.storageFull(long)))
        let back = try StoreMessage<StoreReply>(decoding: MessageSamples.bytes(message))
        guard case .failure(.storageFull(let text)) = back.body else {
            Issue.record("not the same error")
            return
        }
        #expect(text.utf8.count == StoreLimits.errorTextBytes)
    }

    @Test func framesAreCutOutOfAnyPieces() throws {
        var stream = ByteBuffer()
        for message in MessageSamples.requests {
            var frame = StoreFrame.buffer(message)
            stream.writeBuffer(&frame)
        }
        for piece in [1, 3, 7, 1000] {
            var rest = stream
            var buffer = ByteBuffer()
            var found: [StoreMessage<StoreRequest>] = []
            while var slice = rest.readSlice(length: min(piece, max(1, rest.readableBytes))) {
                buffer.writeBuffer(&slice)
                while let body = try StoreFrameDecoder.body(in: &buffer) {
                    found.append(try StoreMessage(decoding: body))
                }
            }
            #expect(found == MessageSamples.requests)
        }
    }

    @Test func theChecksumIsTheKnownOne() {
        #expect(Checksum.of(Array("123456789".utf8)) == 0xCBF4_3926)
    }

    /// Whatever arrives: an error or a message that goes back to the same bytes, never a trap.
    @Test func damagedMessagesNeverTrap() async {
        var random = SeededGenerator.announced("damagedMessagesNeverTrap")
        let requests = MessageSamples.requests.map(MessageSamples.bytes)
        let replies = MessageSamples.replies.map(MessageSamples.bytes)
        var accepted = 0
        for round in 0..<20_000 {
            // The other tests share this thread, and have clocks.
            if round % 100 == 0 { await Task.yield() }
            let request = Self.mutated(requests, &random)
            if let message = try? StoreMessage<StoreRequest>(decoding: request) {
                accepted += 1
                #expect(MessageSamples.bytes(message) == request)
            }
            let reply = Self.mutated(replies, &random)
            if let message = try? StoreMessage<StoreReply>(decoding: reply) {
                accepted += 1
                #expect(MessageSamples.bytes(message) == reply)
            }
            var frames = ByteBuffer(bytes: Self.mutated(requests, &random))
            while (try? StoreFrameDecoder.body(in: &frames)) != nil {}
        }
        // Otherwise the mutations are too wild to reach anything.
        #expect(accepted > 100)
    }

    private static func mutated(
        _ corpus: [[UInt8]], _ random: inout SeededGenerator
    ) -> [UInt8] {
        var bytes = corpus.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let at = Int.random(in: 0...max(0, bytes.count - 1), using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0 where !bytes.isEmpty: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1 where !bytes.isEmpty: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.removeLast(min(bytes.count, Int.random(in: 0..<8, using: &random)))
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
            case 4 where !bytes.isEmpty: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][at % 5]
            default:
                let other = corpus.randomElement(using: &random) ?? []
                bytes = Array(bytes.prefix(at)) + other.suffix(max(0, other.count - at))
            }
        }
        return bytes
    }
}
