import Glibc
import Testing

@testable import LUNSimulator

/// Random commands from random paths: no trap, and what must always hold does. `COVOL_FUZZ_SEED`
/// repeats a run, `COVOL_FUZZ_ROUNDS` sets its length.
@Suite struct ReservationFuzzTests {
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

    @Test func fuzz() {
        let seed = Self.number("COVOL_FUZZ_SEED") ?? UInt64.random(in: .min ... .max)
        let rounds = Self.number("COVOL_FUZZ_ROUNDS") ?? 20_000
        print("reservation fuzz: COVOL_FUZZ_SEED=\(seed) COVOL_FUZZ_ROUNDS=\(rounds)")
        var random = Generator(state: seed)
        var target = ReservationTarget.registered()
        var granted = 0
        for _ in 0..<rounds {
            let path = target.paths.randomElement(using: &random)!
            let outcome = target.execute(
                cdb: Self.command(&random), dataOut: Self.data(&random), from: path)
            let response = outcome.response
            if response.status == .good { granted += 1 }
            #expect((response.status == .checkCondition) != response.sense.isEmpty)
            #expect(!target.keys.values.contains(0))
            #expect(!outcome.abortedPaths.contains(path))
            if let reservation = target.reservation {
                #expect(
                    reservation.type.isAllRegistrants
                        ? !target.keys.isEmpty : target.keys[reservation.maker] != nil)
                #expect(target.paths.contains { target.allows(.write, from: $0) })
            }
        }
        // The commands are not all nonsense.
        #expect(granted > rounds / 10)
    }

    private static func command(_ random: inout Generator) -> [UInt8] {
        let opcodes: [UInt8] = [0x5e, 0x5f, 0x5f, 0x5f, 0x12, 0x00]
        var cdb = (0..<Int.random(in: 1...16, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        cdb[0] = opcodes.randomElement(using: &random)!
        if cdb.count >= 10, Int.random(in: 0...9, using: &random) > 0 {
            let action = UInt8.random(in: 0...8, using: &random)
            let type = UInt8.random(in: 0...9, using: &random)
            cdb.replaceSubrange(1...8, with: [action, type, 0, 0, 0, 0, 0, 24])
        }
        return cdb
    }

    private static func data(_ random: inout Generator) -> [UInt8] {
        let keys: [UInt64] = [0, 1, 0xa, 0xb, 0xc]
        let bytes = CDB.parameters(
            key: keys.randomElement(using: &random)!,
            service: keys.randomElement(using: &random)!,
            flags: UInt8.random(in: 0...15, using: &random) & 0x09)
        return Int.random(in: 0...19, using: &random) > 0 ? bytes : Array(bytes.dropLast())
    }
}
