import Testing
import VolumeModel

@testable import HostFileSystem

struct FIEMAPDecoderTests {
    private struct Raw {
        var logical: UInt64
        var physical: UInt64
        var length: UInt64
        var flags: UInt32 = 0
    }

    private static func buffer(_ raws: [Raw], room: Int? = nil) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: FIEMAPDecoder.headerBytes + raws.count * 56)
        bytes.withUnsafeMutableBytes { memory in
            memory.storeBytes(of: UInt32(raws.count), toByteOffset: 20, as: UInt32.self)
            memory.storeBytes(of: UInt32(room ?? raws.count + 1), toByteOffset: 24, as: UInt32.self)
            for (index, raw) in raws.enumerated() {
                let offset = FIEMAPDecoder.headerBytes + index * FIEMAPDecoder.extentBytes
                memory.storeBytes(of: raw.logical, toByteOffset: offset, as: UInt64.self)
                memory.storeBytes(of: raw.physical, toByteOffset: offset + 8, as: UInt64.self)
                memory.storeBytes(of: raw.length, toByteOffset: offset + 16, as: UInt64.self)
                memory.storeBytes(of: raw.flags, toByteOffset: offset + 40, as: UInt32.self)
            }
        }
        return bytes
    }

    private func decode(
        _ raws: [Raw], _ range: ByteRange, maximum: Int = 100, room: Int? = nil
    ) throws -> (extents: [Extent], coveredEnd: UInt64) {
        try Self.buffer(raws, room: room).withUnsafeBytes {
            try FIEMAPDecoder.extents(fromFIEMAP: $0, range: range, maximumExtents: maximum)
        }
    }

    @Test(arguments: [
        (UInt32(0), ExtentState.written), (0x1, .written), (0x1000, .written), (0x1001, .written),
        (0x800, .unwritten), (0x801, .unwritten), (0x2000, .shared), (0x2800, .opaque),
        (0x2, .opaque), (0x4, .opaque), (0x8, .opaque), (0x80, .opaque), (0x100, .opaque),
        (0x200, .opaque), (0x400, .opaque), (0x804, .opaque), (0x4000, .opaque),
        (0x8000_0000, .opaque),
    ])
    func statesOfFlags(_ flags: UInt32, _ state: ExtentState) throws {
        let raw = Raw(logical: 0, physical: 81_920, length: 4096, flags: flags)
        let map = try decode([raw], ByteRange(start: 0, end: 4096))
        #expect(map.extents.map(\.state) == [state])
        #expect(map.extents[0].lunOffsetBytes == (state == .opaque ? 0 : 81_920))
    }

    @Test func unalignedExtentsMakeTheirBlocksOpaque() throws {
        let raws = [
            Raw(logical: 0, physical: 100, length: 60),
            Raw(logical: 4096, physical: 512, length: 4096),
            Raw(logical: 12_300, physical: 8192, length: 10),
            Raw(logical: 16_384, physical: 16_384, length: 4096),
        ]
        let map = try decode(raws, ByteRange(start: 0, end: 20_480))
        #expect(map.extents.map(\.state) == [.opaque, .hole, .opaque, .written])
        #expect(map.extents.map(\.fileOffsetBytes) == [0, 8192, 12_288, 16_384])
    }

    @Test func joinsWhatContinues() throws {
        let raws = [
            Raw(logical: 0, physical: 40_960, length: 4096),
            Raw(logical: 4096, physical: 45_056, length: 4096),
            Raw(logical: 8192, physical: 53_248, length: 4096),
        ]
        let map = try decode(raws, ByteRange(start: 0, end: 12_288))
        #expect(map.extents.map(\.lengthBytes) == [8192, 4096])
    }

    @Test func stopsWhereThereIsNoRoom() throws {
        let raws = [
            Raw(logical: 4096, physical: 40_960, length: 4096),
            Raw(logical: 12_288, physical: 4096, length: 4096),
        ]
        let range = ByteRange(start: 0, end: 40_960)
        #expect(try decode(raws, range, maximum: 3).coveredEnd == 12_288)
        #expect(try decode(raws, range, maximum: 5).coveredEnd == 40_960)
        // A full answer says nothing of what follows; the last flag does.
        #expect(try decode(raws, range, room: 2).coveredEnd == 16_384)
        var last = raws
        last[1].flags = 1
        #expect(try decode(last, range, room: 2).coveredEnd == 40_960)
    }

    @Test func refusesNonsense() {
        let range = ByteRange(start: 0, end: 40_960)
        let good = Raw(logical: 8192, physical: 4096, length: 8192)
        for bad in [
            Raw(logical: 4096, physical: 0, length: 4096),
            Raw(logical: 12_288, physical: 0, length: 4096),
            Raw(logical: 16_384, physical: 0, length: 0),
            Raw(logical: .max - 4095, physical: 0, length: 8192),
            Raw(logical: 16_384, physical: .max - 4095, length: 8192),
        ] {
            #expect(code { _ = try decode([good, bad], range) } == 5)
        }
        #expect(code { _ = try decode([good], range, room: 0) } == 5)
        var bytes = Self.buffer([good])
        bytes.removeLast()
        let short = code {
            _ = try bytes.withUnsafeBytes {
                try FIEMAPDecoder.extents(fromFIEMAP: $0, range: range, maximumExtents: 1)
            }
        }
        #expect(short == 5)
    }

    /// Any bytes either throw, or give a map without gaps or overlaps within the range.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func survivesAnyBytes(_ seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        var decoded = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...6, using: &random)
            var position: UInt64 = 0
            var raws: [Raw] = []
            for _ in 0..<count {
                position += UInt64.random(in: 0...3, using: &random) * 2048
                let length = UInt64.random(in: 0...4, using: &random) * 2048
                let flags: UInt32 = [0, 0, 1, 0x800, 0x2000, 0x200].randomElement(using: &random)!
                raws.append(
                    Raw(
                        logical: position, physical: .random(in: 0...9, using: &random) * 4096,
                        length: length, flags: flags))
                position += length
            }
            var bytes = Self.buffer(raws, room: Int.random(in: 0...8, using: &random))
            if Int.random(in: 0..<4, using: &random) == 0 {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<20, using: &random) == 0 {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            let start = UInt64.random(in: 0...6, using: &random) * 4096
            let range = ByteRange(offset: start, length: .random(in: 1...6, using: &random) * 4096)
            let maximum = Int.random(in: 1...5, using: &random)
            let map = try? bytes.withUnsafeBytes {
                try FIEMAPDecoder.extents(fromFIEMAP: $0, range: range, maximumExtents: maximum)
            }
            guard let map else { continue }
            decoded += 1
            var expected = range.startBytes
            for extent in map.extents {
                try #require(extent.fileOffsetBytes == expected && extent.lengthBytes > 0)
                try #require((extent.lengthBytes | extent.lunOffsetBytes) % 4096 == 0)
                expected = extent.fileEndBytes
            }
            try #require(map.coveredEnd == expected && expected <= range.endBytes)
            try #require(map.extents.count <= maximum)
        }
        #expect(decoded > 1000)
    }
}

/// Deterministic: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
