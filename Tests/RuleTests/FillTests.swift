import Testing
import VolumeModel
import VolumeProtocol

@testable import HostFileSystem

extension RealVolumes {
    /// Holes that are filled for a node that writes.
    @Suite struct Fills {
        static let piece = 64 << 10

        /// Written data in the middle of holes stay, and others see zeros before and data after.
        @Test(arguments: FileSystemKind.allCases) func keepWhatIsWritten(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.truncate(file.handle, to: 4 << 20)
                let kept = pattern(3 * 4096, seed: 1)
                try await node.writeRedirected(file.handle, at: 1 << 20, kept)
                let reader = try await other.open("file")
                let zeros = [UInt8](repeating: 0, count: Self.piece)
                #expect(try await other.read(reader, at: 0, count: Self.piece) == zeros)
                let bytes = pattern(Self.piece, seed: 2)
                let held = try #require(try await node.startWrite(file, at: 0, bytes))
                #expect(try await other.read(reader, at: 128 << 10, count: Self.piece) == zeros)
                node.land(held)
                #expect(try await other.read(reader, at: 0, count: Self.piece) == bytes)
                #expect(try await node.fill(file, ByteRange(start: 768 << 10, end: 1280 << 10)))
                #expect(try await other.read(reader, at: 1 << 20, count: kept.count) == kept)
                let (extents, _) = try fixture.volume.map(
                    file.handle, ByteRange(start: 768 << 10, end: 1280 << 10), maximumExtents: 4096)
                #expect(extents.allSatisfy { $0.state == .written })
            }
        }

        /// What was written into a filled hole is there after a power cut.
        @Test(arguments: FileSystemKind.allCases) func outliveAPowerCut(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let node = fixture.node
                let file = try await node.create("file")
                try await node.truncate(file.handle, to: 4 << 20)
                let bytes = pattern(Self.piece, seed: 3)
                let held = try #require(try await node.startWrite(file, at: 1 << 20, bytes))
                node.land(held)
                let read = try fixture.afterPowerCut { volume in
                    var read = [UInt8](repeating: 0, count: bytes.count)
                    _ = try read.withUnsafeMutableBytes {
                        try volume.read(file.handle, offsetBytes: 1 << 20, into: $0)
                    }
                    return read
                }
                #expect(read == bytes)
            }
        }

        /// What was filled and not written is a hole again after the last close, at the time of before;
        /// what was written stays.
        @Test(arguments: FileSystemKind.allCases) func goBackUnused(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.truncate(file.handle, to: 4 << 20)
                let bytes = pattern(4096, seed: 4)
                let held = try #require(try await node.startWrite(file, at: 0, bytes))
                node.land(held)
                try await node.returnGrowth(file)
                var change = AttributeChange()
                let then = Timestamp(seconds: 1_000_000, nanoseconds: 5)
                change.modificationTime = .to(then)
                try await node.done(.setAttributes(file.handle, change))
                let before = try await other.attributes(file.handle)
                #expect(before.blocks512 >= UInt64(Self.piece) / 512)
                try await node.close(file)
                let after = try await other.attributes(file.handle)
                #expect(after.blocks512 <= before.blocks512 - UInt64(Self.piece - 4096) / 512)
                #expect(after.modificationTime == then)
                let reader = try await other.open("file")
                let expected = bytes + [UInt8](repeating: 0, count: Self.piece)
                #expect(try await other.read(reader, at: 0, count: expected.count) == expected)
            }
        }

        /// On a full volume what fits is filled, and the node sends the rest along.
        @Test(arguments: FileSystemKind.allCases) func neverMoreThanThereIs(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let node = fixture.node
                let file = try await node.create("file")
                let space = try fixture.volume.statistics()
                let free = space.blocksFree * UInt64(space.blockSizeBytes)
                try await node.truncate(file.handle, to: 2 * free)
                let isFilled = try await node.fill(file, ByteRange(start: 0, end: 2 * free))
                #expect(!isFilled)
                let left = try fixture.volume.statistics().blocksFree
                #expect(left * UInt64(space.blockSizeBytes) > free / 2)
            }
        }

        /// Where room is short a scattered write's surroundings are left alone, and its data go along,
        /// in as much room as they need; one that follows the last fill may still take an eighth.
        @Test(arguments: FileSystemKind.allCases) func leaveScarceRoomAlone(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                let size: UInt64 = 4 << 20
                try await node.truncate(file.handle, to: size)
                let kept = pattern(4096, seed: 5)
                let offsets = stride(from: UInt64(16 << 10), to: size, by: 128 << 10)
                for offset in offsets {
                    try await node.writeRedirected(file.handle, at: offset, kept)
                }
                try await fixture.fill(leaving: 16 << 20)
                func state(_ range: ByteRange) throws -> Set<ExtentState> {
                    let map = try fixture.volume.map(file.handle, range, maximumExtents: 4096)
                    return Set(map.extents.map(\.state))
                }
                func ask(_ range: ByteRange) async throws -> OperationResult {
                    await node.call(.layoutFill(file.handle, range)).result
                }
                let piece = ByteRange(start: 0, end: size)
                guard case .layout = try await ask(piece) else {
                    throw UnexpectedResult(try await ask(piece))
                }
                let allocated = try fixture.volume.map(
                    file.handle, piece, maximumExtents: 4096
                ).extents.filter { $0.state != .hole }
                #expect(allocated.map(\.fileOffsetBytes) == Array(offsets))
                #expect(allocated.allSatisfy { $0.lengthBytes == 4096 })
                // As small as this it may be, and so may what follows it.
                for end in [UInt64(16 << 10), 512 << 10] {
                    let range = ByteRange(start: end == 16 << 10 ? 0 : 16 << 10, end: end)
                    _ = try await ask(range)
                    #expect(try state(range) == [.written])
                }
                let reader = try await other.open("file")
                for offset in offsets {
                    #expect(try await other.read(reader, at: offset, count: kept.count) == kept)
                }
            }
        }
    }
}
