import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rule written-before-grant.
    @Suite struct Written {
        /// A node that writes an unwritten extent directly changes no metadata: for the file system it
        /// stays zeros.
        @Test(arguments: RuleCase.all) func preallocatedBlocks(_ run: RuleCase) async throws {
            let isLost = try await RuleFixture.run(run.kind, rules: run.rules(.writtenBeforeGrant))
            {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.done(
                    .allocate(file.handle, mode: 0, ByteRange(start: 0, end: 256 << 10)))
                let bytes = pattern(64 << 10, seed: 3)
                try await node.write(file, at: 65_536, bytes)
                let seen = try await other.readRedirected(
                    file.handle, at: 65_536, count: bytes.count)
                #expect(try await node.read(file, at: 65_536, count: bytes.count) == bytes)
                // Once it is written through the coordinator, the rest of its life is direct.
                if !run.isControl {
                    let before = node.directWrites
                    try await node.write(file, at: 65_536, bytes)
                    #expect(node.directWrites == before + 1)
                }
                return seen != bytes
            }
            #expect(isLost == run.isControl)
        }

        /// Preallocated blocks hold what their last owner wrote; nobody may see that.
        @Test(arguments: RuleCase.all) func oldContents(_ run: RuleCase) async throws {
            let isShown = try await RuleFixture.run(run.kind, rules: run.rules(.writtenBeforeGrant))
            {
                fixture in
                let node = fixture.node
                let secret = try await node.create("secret")
                let bytes = pattern(1 << 20, seed: 4)
                // More than the coordinator's reserve, which may take freed blocks first.
                for part in 0..<4 { try await node.write(secret, at: UInt64(part) << 20, bytes) }
                try await node.close(secret)
                try await fixture.fill()
                try await node.done(.unlink(node.name("secret")))
                // Everything that is free now, in pieces: the reserve's blocks may come first.
                var length: UInt64 = 1 << 20
                var isShown = false
                var pieces = 0
                while length >= 64 << 10, !isShown, pieces < 64 {
                    // A full volume has no room for another file either.
                    guard let file = try? await node.create("file\(pieces)") else { break }
                    pieces += 1
                    while length >= 64 << 10,
                        case .failed = await node.call(
                            .allocate(file.handle, mode: 0, ByteRange(start: 0, end: length))
                        ).result
                    {
                        length /= 2
                    }
                    guard length >= 64 << 10 else { break }
                    let seen = try await node.read(file, at: 0, count: Int(length))
                    isShown = seen.contains { $0 != 0 }
                }
                try #require(pieces > 0)
                return isShown
            }
            #expect(isShown == run.isControl)
        }
    }
}
