import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Files that grow by direct writes, and who sees what of it.
    @Suite struct Growth {
        static let piece = 128 << 10

        /// Others see exactly what was written, never the room that was made for it.
        @Test(arguments: FileSystemKind.allCases) func seenByOthers(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                let bytes = pattern(4 * Self.piece, seed: 1)
                var size = 0
                for round in 0..<4 {
                    let range = ByteRange(
                        offset: UInt64(size), length: UInt64(8 * Self.piece))
                    _ = try await node.grow(file, range)
                    try await node.write(
                        file, at: UInt64(size), Array(bytes[size..<(size + Self.piece)]))
                    size += Self.piece
                    #expect(node.ownSize(file) == UInt64(size))
                    let seen =
                        round % 2 == 0
                        ? try await other.attributes(file.handle)
                        : try await other.lookup("file").attributes
                    #expect(seen.sizeBytes == UInt64(size))
                    #expect(node.ownSize(file) == nil, "asking ends the growth")
                }
                #expect(node.directWrites >= 4)
                let reader = try await other.open("file")
                #expect(try await other.read(reader, at: 0, count: size + 9) == bytes)
                let seen = try await other.attributes(file.handle)
                #expect(seen.blocks512 <= UInt64(size) / 512 + 128, "the room was given back")
            }
        }

        /// An odd end: what follows it in its block are zeros, also when the file grows over it later.
        @Test(arguments: FileSystemKind.allCases) func oddEnd(_ kind: FileSystemKind) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                let bytes = pattern(Self.piece + 777, seed: 2)
                try await node.write(file, at: 0, bytes)
                try await node.returnGrowth(file)
                #expect(try await other.attributes(file.handle).sizeBytes == UInt64(bytes.count))
                try await other.truncate(file.handle, to: UInt64(bytes.count + 500))
                let reader = try await other.open("file")
                let expected = bytes + [UInt8](repeating: 0, count: 500)
                #expect(try await other.read(reader, at: 0, count: 1 << 20) == expected)
            }
        }

        /// Released while it grows: the file ends where the writing did.
        @Test(arguments: FileSystemKind.allCases) func releasedWhileGrowing(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.write(file, at: 0, pattern(Self.piece, seed: 3))
                try await node.close(file)
                #expect(try await other.lookup("file").attributes.sizeBytes == UInt64(Self.piece))
                let again = try await node.open("file")
                _ = try await node.grow(
                    again, ByteRange(offset: UInt64(Self.piece), length: 1 << 20))
                try await node.close(again)
                #expect(try await other.lookup("file").attributes.sizeBytes == UInt64(Self.piece))
            }
        }

        /// The end of a session ends its growth where others last saw the file end.
        @Test(arguments: FileSystemKind.allCases) func lostWithItsNode(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.write(file, at: 0, pattern(Self.piece, seed: 3))
                try await node.returnGrowth(file)
                _ = try await node.grow(
                    file, ByteRange(offset: UInt64(Self.piece), length: 1 << 20))
                node.leave()
                #expect(try await other.lookup("file").attributes.sizeBytes == UInt64(Self.piece))
                let reader = try await other.open("file")
                #expect(
                    try await other.read(reader, at: 0, count: 1 << 21)
                        == pattern(Self.piece, seed: 3))
            }
        }

        /// A return and a request for more that cross on their way.
        @Test(arguments: FileSystemKind.allCases) func returnedWhileAskedFor(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                var size = 0
                for round in 0..<40 {
                    let bytes = pattern(Self.piece, seed: UInt64(round))
                    let offset = UInt64(size)
                    async let written: Void = node.write(file, at: offset, bytes)
                    async let returned: Void = node.returnGrowth(file)
                    async let seen = other.attributes(file.handle).sizeBytes
                    let visible = try await seen
                    #expect(visible == offset || visible == offset + UInt64(Self.piece))
                    _ = try await (written, returned)
                    size += Self.piece
                }
                try await node.returnGrowth(file)
                let reader = try await other.open("file")
                #expect(try await other.attributes(file.handle).sizeBytes == UInt64(size))
                for round in 0..<40 {
                    let offset = UInt64(round * Self.piece)
                    #expect(
                        try await other.read(reader, at: offset, count: Self.piece)
                            == pattern(Self.piece, seed: UInt64(round)))
                }
            }
        }

        /// Appends of several nodes: every record is there once, whole, and in each node's own order.
        @Test(arguments: FileSystemKind.allCases) func appends(_ kind: FileSystemKind) async throws
        {
            try await RuleFixture.run(kind) { fixture in
                let first = try await fixture.node.create("log")
                let recordBytes = 700
                let rounds = 40
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (number, node) in fixture.nodes.enumerated() {
                        group.addTask {
                            for round in 0..<rounds {
                                let record =
                                    [UInt8(number), UInt8(round)]
                                    + [UInt8](
                                        repeating: UInt8(number * 64 + round),
                                        count: recordBytes - 2)
                                let count = try await node.writeRedirected(
                                    first.handle, at: 0, record, flags: .append)
                                #expect(count == recordBytes)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let total = fixture.nodes.count * rounds * recordBytes
                let bytes = try await fixture.node.read(first, at: 0, count: total + 1)
                try #require(bytes.count == total)
                var next = [Int](repeating: 0, count: fixture.nodes.count)
                for start in stride(from: 0, to: total, by: recordBytes) {
                    let (number, round) = (Int(bytes[start]), Int(bytes[start + 1]))
                    #expect(round == next[number])
                    next[number] += 1
                    let body = bytes[(start + 2)..<(start + recordBytes)]
                    #expect(body.allSatisfy { $0 == UInt8(number * 64 + round) })
                }
                #expect(next.allSatisfy { $0 == rounds })
            }
        }

        /// A full volume: whoever writes is told, and nothing else breaks.
        @Test(arguments: FileSystemKind.allCases) func fullVolume(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let (file, kept) = (try await node.create("file"), try await other.create("kept"))
                try await other.write(kept, at: 0, pattern(1 << 20, seed: 1))
                try await other.returnGrowth(kept)
                try await fixture.fill(leaving: 512 << 10)
                let grow = await node.call(
                    .layoutGrow(file.handle, ByteRange(start: 0, end: 64 << 20)))
                #expect(grow.result == .failed(.noSpace))
                #expect(try await other.attributes(file.handle).sizeBytes == 0)
                var size = 0
                var error: ErrorCode?
                while error == nil, size < 64 << 20 {
                    do {
                        try await node.write(
                            file, at: UInt64(size), pattern(65_536, seed: UInt64(size)))
                        size += 65_536
                    } catch let code as ErrorCode {
                        error = code
                    }
                }
                #expect(error == .noSpace)
                // The others read, write in place, rename and remove on.
                #expect(
                    try await other.read(kept, at: 0, count: 1 << 20) == pattern(1 << 20, seed: 1))
                let before = other.directWrites
                try await other.write(kept, at: 4096, pattern(65_536, seed: 2))
                #expect(other.directWrites == before + 1)
                for offset in stride(from: 0, to: size, by: 65_536) {
                    #expect(
                        try await node.read(file, at: UInt64(offset), count: 65_536)
                            == pattern(65_536, seed: UInt64(offset)))
                }
                try await other.done(.unlink(other.name("filler")))
                try await node.write(file, at: 0, pattern(1 << 20, seed: 4))
                #expect(
                    try await node.read(file, at: 0, count: 1 << 20) == pattern(1 << 20, seed: 4))
            }
        }
    }
}
