import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rules recall-before-remap and order-of-grant-and-recall.
    @Suite struct Recall {
        static let block = Int(Limits.blockSizeBytes)

        /// The write into a hole that another node reads as zeros.
        @Test(arguments: RuleCase.all) func filledHole(_ run: RuleCase) async throws {
            let isStale = try await RuleFixture.run(run.kind, rules: run.rules(.recallBeforeRemap))
            {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.truncate(file.handle, to: 1 << 20)
                let reader = try await other.open("file")
                let zeros = [UInt8](repeating: 0, count: 8192)
                #expect(try await other.read(reader, at: 65_536, count: 8192) == zeros)
                let bytes = pattern(8192, seed: 1)
                try await node.write(file, at: 65_536, bytes)
                return try await other.read(reader, at: 65_536, count: 8192) != bytes
            }
            #expect(isStale == run.isControl)
        }

        /// A write in flight when its blocks are cut off and given to another file.
        @Test(arguments: RuleCase.all) func blocksGivenAwayUnderAWrite(_ run: RuleCase) async throws
        {
            try await givenAway(run) { node, file in try await node.truncate(file.handle, to: 0) }
        }

        @Test(arguments: RuleCase.all) func blocksPunchedOutUnderAWrite(_ run: RuleCase)
            async throws
        {
            let (keepSize, punch): (UInt32, UInt32) = (1, 2)
            try await givenAway(run) { node, file in
                try await node.done(
                    .allocate(
                        file.handle, mode: keepSize | punch, ByteRange(start: 0, end: 1 << 20)))
            }
        }

        private func givenAway(
            _ run: RuleCase, _ free: @escaping @Sendable (FakeNode, NodeFile) async throws -> Void
        ) async throws {
            let isDamaged = try await RuleFixture.run(
                run.kind, rules: run.rules(.recallBeforeRemap)
            ) {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.writeRedirected(file.handle, at: 0, pattern(1 << 20, seed: 1))
                try await fixture.fill()
                let held = try #require(
                    try await node.startWrite(file, at: 0, pattern(1 << 20, seed: 2)))
                let freeing = Task {
                    try await free(other, file)
                    return try await Self.takeEverything("taker", other)
                }
                // Where the rule holds, this waits for the write to end.
                try await Task.sleep(for: .milliseconds(run.isControl ? 1500 : 300))
                node.land(held)
                let (taker, size) = try await freeing.value
                try #require(size > 0, "the freed blocks were not given out again")
                return try await Self.isDamaged(taker, size, other)
            }
            #expect(isDamaged == run.isControl)
        }

        /// The block given away after an unlink while open.
        @Test(arguments: RuleCase.all) func unlinkedWhileOpen(_ run: RuleCase) async throws {
            let isDamaged = try await RuleFixture.run(
                run.kind, rules: run.rules(.recallBeforeRemap)
            ) {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                let bytes = pattern(1 << 20, seed: 2)
                try await node.writeRedirected(file.handle, at: 0, pattern(1 << 20, seed: 1))
                _ = try await node.read(file, at: 0, count: 4096)
                try await fixture.fill()
                try await other.done(.unlink(other.name("file")))
                let (taker, size) = try await Self.takeEverything("taker", other)
                try await node.write(file, at: 0, bytes)
                if !run.isControl {
                    #expect(try await node.read(file, at: 0, count: 1 << 20) == bytes)
                    #expect(try await node.attributes(file.handle).linkCount == 0)
                    let before = try await node.statistics().blocksFree
                    try await node.close(file)
                    let after = try await FeatureSupport.eventually { () async throws -> UInt64? in
                        let free = try await node.statistics().blocksFree
                        return free >= before + 200 ? free : nil
                    }
                    #expect(after != nil, "the removed file's blocks were not given back")
                }
                return try await Self.isDamaged(taker, size, other)
            }
            #expect(isDamaged == run.isControl)
        }

        /// Fills a file with one pattern until the volume is full.
        private static func takeEverything(
            _ name: String, _ node: FakeNode
        ) async throws -> (NodeFile, Int) {
            let taker = try await node.create(name)
            var size = 0
            while size < 4 << 20 {
                do {
                    size += try await node.writeRedirected(
                        taker.handle, at: UInt64(size), pattern(65_536, seed: UInt64(size)))
                } catch let error as ErrorCode where error == .noSpace {
                    break
                }
                if size % 65_536 != 0 { break }
            }
            return (taker, size)
        }

        private static func isDamaged(
            _ taker: NodeFile, _ size: Int, _ node: FakeNode
        ) async throws -> Bool {
            var offset = 0
            while offset < size {
                let count = min(65_536, size - offset)
                let seen = try await node.read(taker, at: UInt64(offset), count: count)
                if seen != Array(pattern(65_536, seed: UInt64(offset))[..<count]) { return true }
                offset += count
            }
            return false
        }

        /// A grant that comes after the recall that ended it.
        @Test(arguments: RuleCase.all) func lateGrant(_ run: RuleCase) async throws {
            let isStale = try await RuleFixture.run(
                run.kind, rules: run.rules(.orderOfGrantAndRecall)
            ) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.truncate(file.handle, to: 1 << 20)
                let reader = try await other.open("file")
                let late = try await other.fetchLayout(reader)
                let bytes = pattern(8192, seed: 1)
                try await node.write(file, at: 65_536, bytes)
                let isTaken = other.apply(late, to: reader)
                #expect(isTaken == run.isControl)
                return try await other.read(reader, at: 65_536, count: 8192) != bytes
            }
            #expect(isStale == run.isControl)
        }
    }
}
