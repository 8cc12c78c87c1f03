import CLinux
import Testing
import VolumeModel

@testable import HostFileSystem

@Suite(.enabled(if: VolumeFixture.isRoot, "mounting needs root"))
struct DataTests {
    @Test(arguments: VolumeFixture.kinds)
    func writesAndReadsAtAnyOffset(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let file = try fixture.create("file")
            var expected: [UInt8] = []
            let writes: [(UInt64, Int)] = [
                (0, 10), (4096, 8192), (100, 5000), (20_000, 1), (4000, 200), (65_536, 1 << 20),
                (70_001, 1_500_003), (3, 4093), (8191, 2),
            ]
            for (index, (offset, count)) in writes.enumerated() {
                let bytes = VolumeFixture.pattern(count, seed: UInt64(index + 1))
                try fixture.write(file, at: offset, bytes)
                let end = Int(offset) + count
                if expected.count < end {
                    expected += [UInt8](repeating: 0, count: end - expected.count)
                }
                expected.replaceSubrange(Int(offset)..<end, with: bytes)
                #expect(try fixture.volume.attributes(file).sizeBytes == UInt64(expected.count))
            }
            #expect(try fixture.read(file, at: 0, count: expected.count + 5000) == expected)
            for (offset, count) in [(1, 1), (4095, 2), (4096, 4096), (12_345, 700_000)] {
                let part = Array(expected[offset..<(offset + count)])
                #expect(try fixture.read(file, at: UInt64(offset), count: count) == part)
            }
            let end = UInt64(expected.count)
            #expect(try fixture.read(file, at: end, count: 100).isEmpty)
            #expect(try fixture.read(file, at: end - 3, count: 100) == Array(expected.suffix(3)))
            #expect(try fixture.read(file, at: end + 1_000_000, count: 10).isEmpty)
            #expect(code { _ = try fixture.read(file, at: .max - 1, count: 10) } == 22)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func readsAndInteriorWritesLeaveThePageCacheEmpty(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            try fixture.write(file, at: 0, VolumeFixture.pattern(100_000, seed: 7))
            try fixture.write(file, at: 5000, VolumeFixture.pattern(3, seed: 8))
            try fixture.write(file, at: 30_001, VolumeFixture.pattern(20_000, seed: 9))
            _ = try fixture.read(file, at: 1, count: 99_000)
            #expect(try volume.cachedPages(file, .everything).isClean)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func anEdgeWriteKeepsWhatAnotherNodeWroteDirectly(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            try fixture.write(file, at: 0, [UInt8](repeating: 1, count: 8192))
            try volume.syncFile(file)
            // The truncation brings the last block into the page cache, where it stays, clean; then
            // a node writes that block on the LUN.
            try volume.truncate(file, toSizeBytes: 6000)
            try volume.syncFile(file)
            #expect(try volume.cachedPages(file, .everything).cached == 1)
            let extent = try #require(try fixture.map(file).first)
            let lun = try OpenLUN(fixture.loop.path)
            try lun.write([UInt8](repeating: 2, count: 4096), at: extent.lunOffsetBytes + 4096)
            try fixture.write(file, at: 4106, [9])
            try volume.sync()
            var expected = [UInt8](repeating: 2, count: 1904)
            expected[10] = 9
            #expect(try fixture.read(file, at: 4096, count: 4096) == expected)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func truncationsEdgeIsCachedAndDropped(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            try fixture.write(file, at: 0, VolumeFixture.pattern(12_288, seed: 3))
            try volume.truncate(file, toSizeBytes: 9000)
            // The reason for rule clean-before-grant: were this clean, the test would prove nothing.
            #expect(try !volume.cachedPages(file, .everything).isClean)
            #expect(try volume.dropCache(file, .everything).isClean)
            #expect(try volume.cachedPages(file, .everything).isClean)
            try volume.truncate(file, toSizeBytes: 12_288)
            #expect(try volume.dropCache(file, ByteRange(start: 8192, end: 8193)).isClean)
            let tail = try fixture.read(file, at: 9000, count: 3288)
            #expect(tail == [UInt8](repeating: 0, count: 3288))
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func zeroFillMakesExtentsWritten(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            try volume.allocate(file, mode: [], ByteRange(start: 0, end: 1 << 20))
            #expect(try fixture.map(file).map(\.state) == [.unwritten])
            try volume.zeroFill(file, ByteRange(start: 8192, end: 16_384))
            #expect(try fixture.map(file).map(\.state) == [.unwritten, .written, .unwritten])
            try volume.truncate(file, toSizeBytes: (3 << 20) + 100)
            try volume.zeroFill(file, .everything)
            #expect(try fixture.map(file).allSatisfy { $0.state == .written })
            #expect(try volume.attributes(file).sizeBytes == (3 << 20) + 100)
            let bytes = try fixture.read(file, at: 0, count: 4 << 20)
            #expect(bytes == [UInt8](repeating: 0, count: (3 << 20) + 100))
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func copiesWithoutSharing(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            let (source, target) = (try fixture.create("source"), try fixture.create("target"))
            let bytes = VolumeFixture.pattern(2_500_000, seed: 5)
            try fixture.write(source, at: 0, bytes)
            let copied = try volume.copyRange(
                from: source, offsetBytes: 0, to: target, offsetBytes: 0, lengthBytes: 5_000_000)
            #expect(copied == 2_500_000)
            #expect(try fixture.read(target, at: 0, count: 3_000_000) == bytes)
            let within = try volume.copyRange(
                from: source, offsetBytes: 1000, to: source, offsetBytes: 3_000_001,
                lengthBytes: 5001)
            #expect(within == 5001)
            #expect(
                try fixture.read(source, at: 3_000_001, count: 6000) == Array(bytes[1000..<6001]))
            #expect(try !volume.sharesBlocks(source))
            #expect(try !volume.sharesBlocks(target))
            let overlap = code {
                _ = try volume.copyRange(
                    from: source, offsetBytes: 0, to: source, offsetBytes: 10, lengthBytes: 11)
            }
            #expect(overlap == 22)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func punchesZeroesAndSeeks(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            let bytes = VolumeFixture.pattern(65_536, seed: 6)
            try fixture.write(file, at: 0, bytes)
            try volume.allocate(
                file, mode: [.punchHole, .keepSize], ByteRange(start: 8192, end: 16_384))
            #expect(try volume.seek(file, offsetBytes: 0, to: .hole) == 8192)
            #expect(try volume.seek(file, offsetBytes: 8192, to: .data) == 16_384)
            #expect(code { _ = try volume.seek(file, offsetBytes: 70_000, to: .data) } == 6)
            try volume.allocate(file, mode: .zeroRange, ByteRange(start: 32_768, end: 36_864))
            let states = try fixture.map(file).map(\.state)
            #expect(states == [.written, .hole, .written, .unwritten, .written])
            try volume.allocate(file, mode: .collapseRange, ByteRange(start: 8192, end: 16_384))
            #expect(try fixture.read(file, at: 8192, count: 4096) == Array(bytes[16_384..<20_480]))
            try volume.allocate(file, mode: .insertRange, ByteRange(start: 4096, end: 8192))
            #expect(try fixture.read(file, at: 8192, count: 4096) == Array(bytes[4096..<8192]))
            #expect(try volume.attributes(file).sizeBytes == 61_440)
        }
    }

    @Test func aFullVolumeSaysSo() throws {
        try VolumeFixture.run(.ext4) { fixture in
            let file = try fixture.create("file")
            let chunk = [UInt8](repeating: 1, count: 1 << 20)
            var written = 0
            let error = code {
                while written < 400 << 20 {
                    let got = try chunk.withUnsafeBytes {
                        try fixture.volume.write(file, offsetBytes: UInt64(written), $0)
                    }
                    written += got
                }
            }
            #expect(error == 28)
            #expect(written > 100 << 20)
            let odd = code {
                for index in 0..<5000 {
                    let offset = UInt64(written + 1 + 10_000_000 * (index + 1))
                    try fixture.write(file, at: offset, [1, 2, 3])
                }
            }
            #expect(odd == 28)
        }
    }
}

/// The LUN as a node opens it: direct I/O on the block device.
struct OpenLUN: ~Copyable {
    private let number: Int32

    init(_ path: String) throws {
        number = covol_block_open(path, covol_o_rdwr | covol_o_direct)
        try #require(number >= 0)
    }

    deinit { _ = covol_close(number) }

    func write(_ bytes: [UInt8], at offset: UInt64) throws {
        let buffer = AlignedBuffer(byteCount: bytes.count)
        buffer.bytes.copyBytes(from: bytes)
        let count = covol_pwrite(number, buffer.bytes.baseAddress, bytes.count, offset)
        try #require(count == bytes.count)
    }
}
