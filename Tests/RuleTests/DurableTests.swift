import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rules durable-before-grant and durable-before-shown: power cuts.
    @Suite struct Durable {
        /// A node writes through a granted mapping; then the power goes. Without the rule the mapping
        /// was in the coordinator's memory only, and what was written and flushed is gone.
        @Test(arguments: RuleCase.all) func beforeGrant(_ run: RuleCase) async throws {
            let isLost = try await RuleFixture.run(run.kind, rules: run.rules(.durableBeforeGrant))
            {
                fixture in
                let node = fixture.node
                let file = try await node.create("file")
                let bytes = pattern(256 << 10, seed: 1)
                let held = try #require(try await node.startWrite(file, at: 0, bytes))
                node.land(held)
                let map = held.segments.compactMap(\.lunOffsetBytes)
                return try fixture.afterPowerCut { volume in
                    let found = try volume.lookup(Array("file".utf8), in: volume.rootHandle)
                    try #require(found.handle == file.handle, "creating it was acknowledged")
                    let (extents, _) = try volume.map(
                        found.handle, .everything, maximumExtents: 4096)
                    guard extents.allSatisfy({ $0.state == .written }),
                        extents.first?.lunOffsetBytes == map.first
                    else { return true }
                    var read = [UInt8](repeating: 0, count: bytes.count)
                    let count = try read.withUnsafeMutableBytes {
                        try volume.read(found.handle, offsetBytes: 0, into: $0)
                    }
                    return count < bytes.count || read != bytes
                }
            }
            #expect(isLost == run.isControl)
        }

        /// A name, an owner's change and a removal that were acknowledged.
        @Test(arguments: RuleCase.all) func beforeAcknowledged(_ run: RuleCase) async throws {
            let isLost = try await RuleFixture.run(run.kind, rules: run.rules(.durableBeforeShown))
            {
                fixture in
                let node = fixture.node
                // What a mount itself left to be committed is not what this is about.
                try fixture.volume.sync()
                let file = try await node.create("file")
                var change = AttributeChange()
                change.mode = 0o601
                try await node.done(.setAttributes(file.handle, change))
                try await node.writeRedirected(file.handle, at: 0, pattern(10_000, seed: 2))
                let name = Array("file".utf8)
                let kept = try fixture.afterPowerCut { volume -> Bool in
                    guard let found = try? volume.lookup(name, in: volume.rootHandle) else {
                        return false
                    }
                    var read = [UInt8](repeating: 0, count: 10_000)
                    _ = try read.withUnsafeMutableBytes {
                        try volume.read(found.handle, offsetBytes: 0, into: $0)
                    }
                    return found.attributes.mode & 0o777 == 0o601
                        && found.attributes.sizeBytes == 10_000 && read == pattern(10_000, seed: 2)
                }
                try await node.close(file)
                try fixture.volume.sync()
                try await node.done(.unlink(node.name("file")))
                let isRemoved = try fixture.afterPowerCut { volume in
                    (try? volume.lookup(name, in: volume.rootHandle)) == nil
                }
                return !kept || !isRemoved
            }
            #expect(isLost == run.isControl)
        }

        /// Another node sees a name while its making is still on its way to the journal: the look-up's
        /// answer too must wait.
        @Test(arguments: RuleCase.all) func beforeShown(_ run: RuleCase) async throws {
            let isLost = try await RuleFixture.run(run.kind, rules: run.rules(.durableBeforeShown))
            {
                fixture in
                let (node, other) = (fixture.node, fixture.other)
                try fixture.volume.sync()
                var isLost = false
                for round in 0..<4 {
                    let name = "file\(round)"
                    async let made = node.create(name)
                    while true {
                        if (try? await other.lookup(name)) != nil { break }
                        await Task.yield()
                    }
                    let isThere = try fixture.afterPowerCut { volume in
                        (try? volume.lookup(Array(name.utf8), in: volume.rootHandle)) != nil
                    }
                    if !isThere { isLost = true }
                    _ = try await made
                }
                return isLost
            }
            #expect(isLost == run.isControl)
        }
    }
}
