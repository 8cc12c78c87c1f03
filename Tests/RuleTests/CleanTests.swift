import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rule clean-before-grant: a page that the file system filled and kept is written back later, over
    /// what a node wrote directly meanwhile.
    @Suite struct Clean {
        static let block = Int(Limits.blockSizeBytes)

        @Test(arguments: RuleCase.all) func edgeOfAPunch(_ run: RuleCase) async throws {
            try await edge(run) { node, file, range in
                let (keepSize, punch): (UInt32, UInt32) = (1, 2)
                try await node.done(.allocate(file.handle, mode: keepSize | punch, range))
            }
        }

        @Test(arguments: RuleCase.all) func edgeOfAZeroedRange(_ run: RuleCase) async throws {
            try await edge(run) { node, file, range in
                let (keepSize, zero): (UInt32, UInt32) = (1, 0x10)
                try await node.done(.allocate(file.handle, mode: keepSize | zero, range))
            }
        }

        private func edge(
            _ run: RuleCase,
            _ cut: (FakeNode, NodeFile, ByteRange) async throws -> Void
        ) async throws {
            let isDamaged = try await RuleFixture.run(run.kind, rules: run.rules(.cleanBeforeGrant))
            {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.writeRedirected(file.handle, at: 0, pattern(2 * Self.block, seed: 1))
                let start = UInt64(Self.block)
                // The first cut brings the block into the page cache,
                try await cut(other, file, ByteRange(offset: start + 100, length: 100))
                var expected = pattern(Self.block, seed: 2)
                let held = try #require(try await node.startWrite(file, at: start, expected))
                node.land(held)
                // a truncate changes it there, where the node's write never came. (XFS drops the page
                // before a second cut of the same kind; ext4 does not.)
                try await other.truncate(file.handle, to: start + 3000)
                expected.removeLast(Self.block - 3000)
                let seen = try await other.open(file.handle)
                return try await other.read(seen, at: start, count: Self.block) != expected
            }
            #expect(isDamaged == run.isControl)
        }

        @Test(arguments: RuleCase.all) func edgeOfATruncate(_ run: RuleCase) async throws {
            let isDamaged = try await RuleFixture.run(run.kind, rules: run.rules(.cleanBeforeGrant))
            {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                let size = UInt64(2 * Self.block)
                try await node.writeRedirected(file.handle, at: 0, pattern(Int(size), seed: 1))
                try await other.truncate(file.handle, to: size - 100)
                try await other.truncate(file.handle, to: size)
                let start = UInt64(Self.block)
                var expected = pattern(Self.block, seed: 2)
                let held = try #require(try await node.startWrite(file, at: start, expected))
                node.land(held)
                try await other.truncate(file.handle, to: size - 200)
                expected.removeLast(200)
                let seen = try await other.open(file.handle)
                return try await other.read(seen, at: start, count: Self.block) != expected
            }
            #expect(isDamaged == run.isControl)
        }
    }
}
