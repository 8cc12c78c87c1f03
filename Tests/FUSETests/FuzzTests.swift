import Glibc
import Testing

@testable import FUSE

/// Damaged and random requests: an error or a value, never a trap. `COVOL_FUZZ_SEED` repeats a run,
/// `COVOL_FUZZ_ROUNDS` sets its length.
@Suite struct FuzzTests {
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        /// SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }

    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    @Test func requests() {
        let seed = Self.number("COVOL_FUZZ_SEED") ?? UInt64.random(in: .min ... .max)
        let rounds = Self.number("COVOL_FUZZ_ROUNDS") ?? 200_000
        print("FUSE fuzz: COVOL_FUZZ_SEED=\(seed) COVOL_FUZZ_ROUNDS=\(rounds)")
        var random = Generator(state: seed)
        var decoded: Set<UInt32> = []
        var refused = 0
        for _ in 0..<rounds {
            let request = Self.request(&random)
            var decoder = FUSEDecoder()
            decoder.setxattrExtended = Bool.random(using: &random)
            let result = request.withUnsafeBytes { Self.decode($0, decoder) }
            switch result {
            case .success(let opcode): decoded.insert(opcode)
            case .failure: refused += 1
            }
        }
        if rounds >= 100_000 {
            for opcode in FUSEOpcode.allCases where opcode != .initialize {
                #expect(decoded.contains(opcode.rawValue), "\(opcode) never decoded, seed \(seed)")
            }
        }
        #expect(refused > 0)
    }

    private static func request(_ random: inout Generator) -> [UInt8] {
        var encoder = FUSEEncoder(capacity: 512)
        let length = Int.random(in: 0...300, using: &random)
        let opcode = UInt32.random(in: 0...60, using: &random)
        let isHonest = Int.random(in: 0..<10, using: &random) != 0
        encoder.u32(isHonest ? UInt32(40 + length) : UInt32.random(in: 0...500, using: &random))
        encoder.u32(opcode)
        encoder.u64(random.next())
        encoder.u64(random.next())
        encoder.zeros(12)
        encoder.u16(Int.random(in: 0..<10, using: &random) == 0 ? UInt16(random.next() & 63) : 0)
        encoder.u16(0)
        // Small numbers and text get further than noise.
        let style = Int.random(in: 0..<3, using: &random)
        for index in 0..<length {
            switch style {
            case 0: encoder.raw([UInt8(truncatingIfNeeded: random.next())])
            case 1: encoder.raw([index % 8 == 0 ? UInt8(random.next() & 7) : 0])
            default:
                let isText = index >= 8 && random.next() & 7 != 0
                encoder.raw([isText ? UInt8(97 + random.next() % 4) : 0])
            }
        }
        var bytes = encoder.bytes
        // A WRITE of the right size.
        if opcode == FUSEOpcode.write.rawValue && length >= 40 && style == 1 {
            for index in 0..<4 { bytes[56 + index] = UInt8((length - 40) >> (8 * index) & 0xff) }
        }
        if Int.random(in: 0..<20, using: &random) == 0 {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
        }
        return bytes
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer, _ decoder: FUSEDecoder
    ) -> Result<UInt32, FUSEDecodeError> {
        do throws(FUSEDecodeError) {
            let header = try FUSERequestHeader(bytes)
            let arguments = UnsafeRawBufferPointer(
                rebasing: bytes[FUSERequestHeader.sizeBytes...].prefix(header.argumentBytes))
            switch header.opcode {
            case FUSEOpcode.read.rawValue: _ = try decoder.read(arguments)
            case FUSEOpcode.write.rawValue: _ = try decoder.write(arguments)
            default: _ = try decoder.request(opcode: header.opcode, arguments: arguments)
            }
            return .success(header.opcode)
        } catch { return .failure(error) }
    }

    @Test func handshakes() throws {
        let seed = Self.number("COVOL_FUZZ_SEED") ?? UInt64.random(in: .min ... .max)
        print("INIT fuzz: COVOL_FUZZ_SEED=\(seed)")
        var random = Generator(state: seed)
        for _ in 0..<20_000 {
            var bytes = HandshakeTests.initRequest()
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            bytes.removeLast(
                random.next() & 3 == 0 ? Int.random(in: 0...bytes.count, using: &random) : 0)
            bytes.withUnsafeBytes {
                if let agreed = try? FUSEHandshake(request: $0, options: FUSEMountOptions()) {
                    #expect(agreed.reply.count == 64)
                }
            }
        }
    }
}
