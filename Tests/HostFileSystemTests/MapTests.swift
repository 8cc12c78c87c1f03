import CLinux
import Glibc
import Testing
import VolumeModel

@testable import HostFileSystem

@Suite(.enabled(if: VolumeFixture.isRoot, "mounting needs root"))
struct MapTests {
    @Test(arguments: VolumeFixture.kinds)
    func showsHolesUnwrittenAndWritten(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            let bytes = VolumeFixture.pattern(16_384, seed: 1)
            try volume.truncate(file, toSizeBytes: 100_000)
            #expect(
                try fixture.map(file) == [
                    Extent(
                        fileOffsetBytes: 0, lunOffsetBytes: 0, lengthBytes: 102_400, state: .hole)
                ])
            try fixture.write(file, at: 8192, bytes)
            try volume.allocate(file, mode: .keepSize, ByteRange(start: 65_536, end: 300_000))
            let map = try fixture.map(file)
            #expect(map.map(\.state) == [.hole, .written, .hole, .unwritten])
            #expect(map.map(\.fileOffsetBytes) == [0, 8192, 24_576, 65_536])
            // Clipped to the size, in whole blocks, though more is allocated.
            #expect(map.last?.fileEndBytes == 102_400)

            // What lies at the mapped address of the LUN is the file.
            try volume.sync()
            let start = map[1].lunOffsetBytes
            #expect(try fixture.lunBytes(ByteRange(offset: start, length: 16_384)) == bytes)

            let part = try volume.map(
                file, ByteRange(start: 10_000, end: 10_001), maximumExtents: 10)
            #expect(part.coveredEnd == 12_288)
            #expect(
                part.extents == [
                    Extent(
                        fileOffsetBytes: 8192, lunOffsetBytes: start, lengthBytes: 4096,
                        state: .written)
                ])
            let beyond = try volume.map(
                file, ByteRange(start: 200_000, end: 300_000), maximumExtents: 1)
            #expect(beyond.extents.isEmpty && beyond.coveredEnd == 196_608)
        }
    }

    /// What another node was told to be unwritten stays so until it is written itself.
    @Test(arguments: VolumeFixture.kinds)
    func aWriteConvertsItsOwnBlocksOnly(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            try volume.allocate(file, mode: [], ByteRange(start: 0, end: 13 * 4096))
            try fixture.write(file, at: 5 * 4096, VolumeFixture.pattern(100, seed: 1))
            let map = try fixture.map(file)
            #expect(map.map(\.state) == [.unwritten, .written, .unwritten])
            #expect(map.map(\.lengthBytes) == [5 * 4096, 4096, 7 * 4096])
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func comesInPieces(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            let count = 300
            for index in 0..<count {
                try fixture.write(
                    file, at: UInt64(index) * 8192,
                    [UInt8](repeating: UInt8(index & 255), count: 4096))
            }
            var extents: [Extent] = []
            var position: UInt64 = 0
            var pieces = 0
            while true {
                let piece = try volume.map(
                    file, ByteRange(start: position, end: .max), maximumExtents: 7)
                if piece.extents.isEmpty { break }
                #expect(piece.extents.count <= 7)
                #expect(piece.extents[0].fileOffsetBytes == position)
                extents += piece.extents
                position = piece.coveredEnd
                pieces += 1
            }
            #expect(pieces > 80)
            #expect(extents.filter { $0.state == .written }.count == count)
            #expect(extents == (try fixture.map(file)))
            try volume.sync()
            for extent in extents where extent.state == .written {
                let range = ByteRange(offset: extent.lunOffsetBytes, length: 1)
                let expected = UInt8(truncatingIfNeeded: extent.fileOffsetBytes / 8192)
                #expect(try fixture.lunBytes(range) == [expected])
            }
        }
    }

    @Test func showsReflinkedBlocks() throws {
        try VolumeFixture.run(.xfs) { fixture in
            let volume = fixture.volume
            let (source, clone) = (try fixture.create("source"), try fixture.create("clone"))
            try fixture.write(source, at: 0, VolumeFixture.pattern(65_536, seed: 2))
            #expect(try !volume.sharesBlocks(source))
            try volume.with(source, .buffered) { source throws(ErrorCode) in
                try volume.with(clone, .buffered) { clone throws(ErrorCode) in
                    _ = try call(covol_clone_file(clone, source))
                }
            }
            #expect(try volume.sharesBlocks(source) && volume.sharesBlocks(clone))
            #expect(try fixture.map(clone).map(\.state) == [.shared])
            try fixture.write(clone, at: 4096, VolumeFixture.pattern(4096, seed: 3))
            #expect(try fixture.map(clone).map(\.state) == [.shared, .written, .shared])
        }
    }

    @Test func dataJournalledFilesAreOpaque() throws {
        try VolumeFixture.run(.ext4) { fixture in
            let file = try fixture.create("file")
            let bytes = VolumeFixture.pattern(8192, seed: 4)
            try fixture.write(file, at: 0, bytes)
            #expect(try !fixture.volume.isDataJournalled(file))
            #expect(try fixture.map(file).map(\.state) == [.written])
            fixture.volume.close()
            let path = fixture.loop.path
            try HostVolume.proveUnmounted(device: path)
            // As chattr +j does, which needs CAP_SYS_RESOURCE: EXT4_JOURNAL_DATA_FL and extents.
            let command = "debugfs -w -R 'set_inode_field file flags 0x84000' \(path) 2>/dev/null"
            try #require(system(command) == 0)
            let volume = try HostVolume.mount(device: path, kind: .ext4)
            defer { volume.close() }
            #expect(try volume.isDataJournalled(file))
            let map = try volume.map(file, .everything, maximumExtents: 10)
            #expect(map.extents.map(\.state) == [.opaque])
            var read = [UInt8](repeating: 0, count: 9000)
            let count = try read.withUnsafeMutableBytes {
                try volume.read(file, offsetBytes: 0, into: $0)
            }
            #expect(count == 8192 && Array(read[..<8192]) == bytes)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func onlyRegularFilesHaveMaps(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            let fifo = try volume.makeNode(
                Array("fifo".utf8), in: fixture.root, mode: FileKind.fifo.rawValue | 0o600,
                creator: fixture.creator
            ).handle
            for handle in [fixture.root, fifo] {
                #expect(code { _ = try fixture.map(handle) } == 22)
                #expect(code { _ = try fixture.read(handle, at: 0, count: 1) } != 0)
            }
            let empty = try fixture.create("empty")
            #expect(try fixture.map(empty).isEmpty)
        }
    }
}
