import Testing
import VolumeModel

/// The relations between the limits that code elsewhere rests on.
@Suite struct LimitsTests {
    @Test func blocksArePowersOfTwoWithRoomForAState() {
        #expect(Limits.blockSizeBytes.nonzeroBitCount == 1)
        let stateMaximum = ExtentState.allCases.map(\.rawValue).max() ?? 0
        // A sector map keeps the state in the low bits of a length.
        #expect(Limits.blockSizeBytes > UInt64(stateMaximum))
    }

    @Test func payloadsAreWholeBlocks() {
        #expect(Limits.payloadMaximumBytes % Int(Limits.blockSizeBytes) == 0)
        #expect(Limits.payloadMaximumBytes >= Int(Limits.blockSizeBytes))
    }

    @Test func everyAnswerFitsAMessage() {
        // An extent takes 25 bytes on the wire, and a grant less than 64 besides.
        #expect(Limits.extentsPerGrantMaximum * 25 + 64 <= Limits.messageMaximumBytes)
        #expect(Limits.extendedAttributeMaximumBytes + 1024 <= Limits.messageMaximumBytes)
        #expect(Limits.symbolicLinkMaximumBytes + 1024 <= Limits.messageMaximumBytes)
        #expect(Limits.directoryPageMaximumBytes < Limits.messageMaximumBytes)
        // The longest name makes at least one entry of a page.
        #expect(Limits.nameMaximumBytes + 64 <= Limits.directoryPageMaximumBytes)
    }

    @Test func linuxLimits() {
        #expect(Limits.nameMaximumBytes == 255)
        #expect(Limits.symbolicLinkMaximumBytes == 4095)
        #expect(Limits.extendedAttributeMaximumBytes == 65536)
    }

    @Test func oneSessionCannotTakeEverything() {
        #expect(Limits.requestsPerSessionMaximum < Limits.opensPerSessionMaximum)
        #expect(Limits.requestsPerSessionMaximum < Limits.locksMaximum)
    }
}
