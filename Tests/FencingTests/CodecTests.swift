import Foundation
import Testing

@testable import Fencing

@Suite struct CodecTests {
    @Test func commandsAreThoseOfSPC4() {
        #expect(
            PersistentReserveIn.command(.readReservation, allocationBytes: 0x1234)
                == [0x5e, 1, 0, 0, 0, 0, 0, 0x12, 0x34, 0])
        #expect(
            PersistentReserveOut.command(
                .preemptAndAbort, kind: .exclusiveAccessAllRegistrants)
                == [0x5f, 5, 8, 0, 0, 0, 0, 0, 24, 0])
        #expect(
            PersistentReserveOut.parameters(
                key: 0x0102_0304_0506_0708, actionKey: 0x1112_1314_1516_1718, isPersistent: true)
                == [
                    1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
                    0, 0, 0, 0, 1, 0, 0, 0,
                ])
    }

    @Test(arguments: [
        "", "00000001", "0000000100000010aaaaaaaaaaaaaaaa", "0000000100000007aaaaaaaaaaaaaa",
        // A key of zero, and more keys than there can be.
        "00000001000000080000000000000000", "00000001fffffff8",
    ])
    func damagedKeysAreErrors(_ answer: String) {
        #expect(throws: FenceError.self) { try RegisteredKeys(bytes(answer)) }
    }

    @Test(arguments: [
        "000000010000", "0000000100000008aaaaaaaaaaaaaaaa", "0000000100000010aaaaaaaaaaaaaaaa",
        // Scope 1, and type 4.
        "00000001000000100000000000000000000000000018" + "0000",
        "00000001000000100000000000000000000000000004" + "0000",
    ])
    func damagedReservationsAreErrors(_ answer: String) {
        #expect(throws: FenceError.self) { try PersistentReservation.decode(bytes(answer)) }
    }

    @Test(arguments: ["", "0008", "000700000000000000", "00080080ea01"])
    func damagedCapabilitiesAreErrors(_ answer: String) {
        #expect(throws: FenceError.self) { try ReservationCapabilities(bytes(answer)) }
    }

    @Test func capabilities() throws {
        let all = try ReservationCapabilities(bytes("0008018100000100"))
        #expect(all == .init(canPersist: true, isPersistent: true, kinds: []))
        let eight = try ReservationCapabilities(bytes("0008018100010000"))
        #expect(eight.kinds == [.exclusiveAccessAllRegistrants])
        #expect(try ReservationCapabilities(bytes("0008000000010000")).kinds == nil)
    }

    @Test func senseDataOfBothFormats() throws {
        let expected = SenseData(key: 6, additionalCode: 0x2a, additionalQualifier: 5)
        #expect(try SenseData(bytes("700006000000000a000000002a0500000000")) == expected)
        #expect(try SenseData(bytes("72062a0500000000")) == expected)
        #expect(expected.isUnitAttention)
        // Fixed, without the additional codes.
        #expect(try SenseData(bytes("7000050000000000")).additionalCode == 0)
        for damaged in ["", "70", "7205", "0000000000000000"] {
            #expect(throws: FenceError.self) { try SenseData(bytes(damaged)) }
        }
    }

    /// No answer, however it came about, ends in a trap. `COVOL_FUZZ_ROUNDS` sets the length.
    @Test func fuzz() {
        let environment = ProcessInfo.processInfo.environment
        let rounds = environment["COVOL_FUZZ_ROUNDS"].flatMap(Int.init) ?? 20_000
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<rounds {
            let count = Int.random(in: 0...40, using: &generator)
            var answer = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            // Often a length that is nearly right.
            if count >= 8, Bool.random(using: &generator) {
                answer.replaceSubrange(4..<8, with: BigEndian.bytes(UInt32(count - 8)))
            }
            let keys = try? RegisteredKeys(answer)
            let reservation = try? PersistentReservation.decode(answer)
            let capabilities = try? ReservationCapabilities(answer)
            let sense = try? SenseData(answer)
            // What was taken is within its bounds.
            #expect((keys?.keys.count ?? 0) <= count / 8, "\(hexadecimal(answer))")
            #expect(reservation == nil || count >= 24, "\(hexadecimal(answer))")
            #expect(capabilities == nil || count >= 8, "\(hexadecimal(answer))")
            #expect(sense.map { !$0.description.isEmpty } ?? true)
        }
    }

    @Test func keys() {
        #expect(ReservationKey(0) == nil)
        let key = ReservationKey(0xab)!
        #expect(key.description == "0x00000000000000ab")
        #expect(ReservationKey(hexadecimal: key.description) == key)
        #expect(ReservationKey(hexadecimal: "ab") == key)
        for bad in ["", "0x", "0", "x", "11111111111111111"] {
            #expect(ReservationKey(hexadecimal: bad) == nil)
        }
    }
}
