import Foundation
import Testing
import VolumeModel

@testable import VolumeProtocol

/// `COVOL_FUZZ_ROUNDS` and `COVOL_FUZZ_SEED` choose how long and which.
@Suite struct FuzzTests {
    private static func environment(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// Whether the bytes are a message of the type; then they must be what it encodes to.
    private func accepts<Message: WireMessage>(_ type: Message.Type, _ bytes: [UInt8]) -> Bool {
        guard let message = try? Message(encoded: bytes) else { return false }
        if message.encoded() != bytes { Issue.record("\(message) does not encode to \(bytes)") }
        return true
    }

    @Test func decodersWithstandAnything() {
        let rounds = Self.environment("COVOL_FUZZ_ROUNDS") ?? 20_000
        let seed = Self.environment("COVOL_FUZZ_SEED") ?? 1
        print("FuzzTests of VolumeProtocol: seed \(seed), \(rounds) rounds")
        var random = SeededGenerator(seed: seed)
        // The largest samples would only slow the rounds down.
        let samples = WireSamples.messages.filter { $0.count < 2048 }
        var accepted = 0
        var refused = 0
        for _ in 0..<rounds {
            let bytes = input(samples, using: &random)
            let results = [
                accepts(NodeMessage.self, bytes), accepts(CoordinatorReply.self, bytes),
                accepts(CoordinatorMessage.self, bytes), accepts(NodeReply.self, bytes),
            ]
            if results.contains(true) { accepted += 1 } else { refused += 1 }
        }
        // Else the inputs are not what they should be.
        #expect(accepted > 0 && refused > 0)
    }

    private func input(_ samples: [[UInt8]], using random: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<8, using: &random) == 0 {
            let count = Int.random(in: 0..<300, using: &random)
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            return [WireFormat.version] + noise
        }
        var bytes = samples.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            mutate(&bytes, samples, using: &random)
        }
        return bytes
    }

    private func mutate(
        _ bytes: inout [UInt8], _ samples: [[UInt8]], using random: inout SeededGenerator
    ) {
        guard bytes.count > 1 else { return }
        // The version stays, or nothing behind it is ever looked at.
        let index = Int.random(in: 1..<bytes.count, using: &random)
        let extremes: [UInt8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff]
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[index] = extremes.randomElement(using: &random) ?? 0
        case 2: bytes.removeSubrange(index...)
        case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
        case 4: bytes[index] = UInt8.random(in: 0...40, using: &random)
        default:
            let other = samples.randomElement(using: &random) ?? []
            bytes.replaceSubrange(index..., with: other.dropFirst(index))
        }
    }
}
