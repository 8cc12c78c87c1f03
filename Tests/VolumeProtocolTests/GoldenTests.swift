import Testing
import VolumeModel

@testable import VolumeProtocol

/// The bytes of a few messages as they were when the format was made. A test that fails here means
/// that nodes of two versions no longer understand each other: `WireFormat.version` goes up.
@Suite struct GoldenTests {
    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test func write() {
        let message = NodeMessage.request(
            WireSamples.header, sequence: 3, slot: 2,
            .write(WireSamples.file, offsetBytes: 0x1000, [.durable]))
        #expect(
            hexadecimal(message.encoded())
                == "0402887766554433221100ffeeddccbbaa990700000000000000edfe0000000000000300"
                + "000000000000020023810000000c0102030405060708090a0b0c00100000"
                + "0000000004")
    }

    @Test func create() {
        let message = NodeMessage.request(
            WireSamples.header, sequence: 3, slot: 2,
            .create(
                WireSamples.name, mode: 0o644, WireSamples.creator, open: OpenID(5),
                exclusive: true))
        #expect(
            hexadecimal(message.encoded())
                == "0402887766554433221100ffeeddccbbaa990700000000000000edfe0000000000000300"
                + "000000000000020006810000000c0102030405060708090a0b0c0a006469"
                + "736b2e71636f7732a4010000e80300006400000012000000050000000000000001")
    }

    @Test func reclaimLayout() {
        let message = NodeMessage.request(
            WireSamples.header, sequence: 3, slot: Operation.noSlot,
            .reclaimLayout(
                WireSamples.file, [WireSamples.range],
                growth: GrowthClaim(visibleSizeBytes: 5, allocatedEndBytes: 0x2000)))
        #expect(
            hexadecimal(message.encoded())
                == "0402887766554433221100ffeeddccbbaa990700000000000000edfe0000000000000300"
                + "000000000000ffff24810000000c0102030405060708090a0b0c01000000001000000000"
                + "000000300000000000000105000000000000000020000000000000")
    }

    @Test func layout() {
        let message = CoordinatorReply.result(sequence: 3, .layout(WireSamples.grants[0]), [])
        #expect(
            hexadecimal(message.encoded())
                == "04020300000000000000000a09000000000000000010000000000000003000000000000002"
                + "000000001000000000000000000000000100000010000000000000000020000000000000"
                + "0000000000000000001000000000000001012823000000000000")
    }

    @Test func attributes() {
        let message = CoordinatorReply.result(sequence: 1, .attributes(WireSamples.attributes), [])
        #expect(
            hexadecimal(message.encoded())
                == "040201000000000000000003830000000000000088130000000000001000000000000000ff"
                + "ffffffffffffffffc99a3b300822690000000000000000ffffffffffffff7f01000000a4"
                + "8100000100000000000000ffffffff080000001000000000100000")
    }

    @Test func recall() {
        let message = CoordinatorMessage.recall(
            WireSamples.header, WireSamples.file, WireSamples.range, LayoutGeneration(4))
        #expect(
            hexadecimal(message.encoded())
                == "0401887766554433221100ffeeddccbbaa990700000000000000edfe0000000000008100"
                + "00000c0102030405060708090a0b0c001000000000000000300000000000000400000000"
                + "000000")
    }

    @Test func returned() {
        let message = NodeReply.returned(WriteReport(ageNanoseconds: 5, grownSizeBytes: 4097))
        #expect(
            hexadecimal(message.encoded())
                == "04010305000000000000000110000000000000")
    }
}
