import Testing
import VolumeModel

@testable import VolumeProtocol

@Suite struct RoundTripTests {
    private func check<Message: WireMessage & Equatable>(_ messages: [Message]) throws {
        for message in messages {
            let bytes = message.encoded()
            #expect(bytes.count <= Limits.messageMaximumBytes)
            let decoded = try Message(encoded: bytes)
            #expect(decoded == message)
            #expect(decoded.encoded() == bytes)
        }
    }

    @Test func nodeMessages() throws { try check(WireSamples.nodeMessages) }
    @Test func coordinatorReplies() throws { try check(WireSamples.coordinatorReplies) }
    @Test func coordinatorMessages() throws { try check(WireSamples.coordinatorMessages) }
    @Test func nodeReplies() throws { try check(WireSamples.nodeReplies) }

    private func numbers(_ values: [some WireCodable]) -> Set<UInt8> {
        Set(
            values.compactMap { value in
                var writer = ByteWriter()
                writer.append(value)
                return writer.bytes.first
            })
    }

    @Test func theSamplesHaveEveryCase() {
        #expect(
            numbers(WireSamples.operations) == Set(OperationNumber.allCases.map(\.rawValue)))
        #expect(
            numbers(WireSamples.results) == Set(OperationResultNumber.allCases.map(\.rawValue)))
        #expect(numbers(WireSamples.nodeMessages) == [1, 2, 3])
        #expect(numbers(WireSamples.coordinatorReplies) == [1, 2, 3, 4])
        #expect(numbers(WireSamples.coordinatorMessages) == [1, 2, 3])
        #expect(numbers(WireSamples.nodeReplies) == [1, 2, 3])
        #expect(WireSamples.refusals.count == 8 && Refusal(rawValue: 8) == nil)
    }

    /// Every message stops being one when its last byte is missing, or another follows.
    @Test func lengthsAreExact() {
        for message in WireSamples.nodeMessages {
            let bytes = message.encoded()
            #expect(throws: DecodingFailure.self) {
                try NodeMessage(encoded: Array(bytes.dropLast()))
            }
            #expect(throws: DecodingFailure.trailing(count: 1)) {
                try NodeMessage(encoded: bytes + [0])
            }
        }
        for message in WireSamples.coordinatorReplies {
            let bytes = message.encoded()
            #expect(throws: DecodingFailure.self) {
                try CoordinatorReply(encoded: Array(bytes.dropLast()))
            }
            #expect(throws: DecodingFailure.trailing(count: 1)) {
                try CoordinatorReply(encoded: bytes + [0])
            }
        }
    }
}
