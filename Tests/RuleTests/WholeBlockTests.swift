import Synchronization
import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rule whole-blocks, on the node and on the coordinator.
    @Suite struct WholeBlocks {
        static let block = Int(Limits.blockSizeBytes)

        /// A direct write of a part of a block takes the rest of the block with it.
        @Test(arguments: RuleCase.all) func partOfABlock(_ run: RuleCase) async throws {
            let isDamaged = try await RuleFixture.run(run.kind, rules: run.rules(.wholeBlocks)) {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                var expected = pattern(4 * Self.block, seed: 1)
                try await node.writeRedirected(file.handle, at: 0, expected)
                _ = try await node.read(file, at: 0, count: 4096)
                let bytes = pattern(1000, seed: 2)
                try await node.write(file, at: UInt64(Self.block), bytes)
                expected.replaceSubrange(Self.block..<(Self.block + 1000), with: bytes)
                let seen = try await other.open("file")
                return try await other.read(seen, at: 0, count: expected.count) != expected
            }
            #expect(isDamaged == run.isControl)
        }

        /// The coordinator writes a part of a block by reading, changing and writing it whole. A node
        /// that still writes the block directly loses what lands in between.
        @Test(arguments: RuleCase.all) func sharedBlock(_ run: RuleCase) async throws {
            let isLost = try await RuleFixture.run(run.kind, rules: run.rules(.wholeBlocks)) {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.writeRedirected(file.handle, at: 0, pattern(Self.block, seed: 1))
                let isOver = Mutex(false)
                let edges = Task {
                    for round in 0..<400 {
                        let part = [UInt8](repeating: UInt8(round & 255), count: 100)
                        try await other.writeRedirected(file.handle, at: 1000, part)
                        if isOver.withLock({ $0 }) { break }
                    }
                    isOver.withLock { $0 = true }
                }
                var isLost = false
                var round: UInt64 = 2
                while !isOver.withLock({ $0 }), !isLost {
                    let bytes = pattern(Self.block, seed: round)
                    try await node.write(file, at: 0, bytes)
                    // The rest of the block is this node's alone: a while later it is still there.
                    try await Task.sleep(for: .microseconds(200))
                    let seen = try await node.read(file, at: 0, count: 1000)
                    isLost = seen != Array(bytes[..<1000])
                    round += 1
                }
                isOver.withLock { $0 = true }
                try await edges.value
                return isLost
            }
            #expect(isLost == run.isControl)
        }
    }
}
