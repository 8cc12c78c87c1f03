import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Files removed while open, files without names, times and locks, between nodes.
    @Suite struct Files {
        /// How many names the coordinator's private directory holds.
        private static func hiddenCount(_ fixture: RuleFixture) throws -> Int {
            let volume = fixture.volume
            let own = try volume.lookup(Array(".covolume".utf8), in: fixture.root).handle
            let orphans = try volume.lookup(Array("orphans".utf8), in: own).handle
            return try volume.readDirectory(orphans, cookie: 0, maximumBytes: 65536).count - 2
        }

        private static func becomesEmpty(_ fixture: RuleFixture) async throws -> Bool {
            try await FeatureSupport.eventually { try hiddenCount(fixture) == 0 ? true : nil }
                ?? false
        }

        @Test(arguments: FileSystemKind.allCases) func unlinkedWhileOpenElsewhere(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other, third) = (fixture.nodes[0], fixture.nodes[1], fixture.nodes[2])
                let file = try await node.create("file")
                let bytes = pattern(1 << 17, seed: 1)
                try await node.write(file, at: 0, bytes)
                let also = try await third.open("file")
                try await other.done(.link(file.handle, other.name("second")))
                try await other.done(.unlink(other.name("file")))
                #expect(try await node.attributes(file.handle).linkCount == 1)
                #expect(try Self.hiddenCount(fixture) == 0, "it has another name")
                try await other.done(.unlink(other.name("second")))
                #expect(await other.call(.lookup(other.name("second"))).result == .failed(.noEntry))
                #expect(try await node.attributes(file.handle).linkCount == 0)
                #expect(try Self.hiddenCount(fixture) == 1)
                #expect(try await third.read(also, at: 0, count: bytes.count) == bytes)
                try await node.close(file)
                #expect(try await third.attributes(also.handle).linkCount == 0)
                #expect(try Self.hiddenCount(fixture) == 1)
                try await third.close(also)
                #expect(try await Self.becomesEmpty(fixture))
                #expect(await node.call(.attributes(file.handle)).result == .failed(.stale))
            }
        }

        @Test(arguments: FileSystemKind.allCases) func renamedOverWhileOpenElsewhere(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let (old, new) = (try await node.create("old"), try await other.create("new"))
                try await node.writeRedirected(old.handle, at: 0, pattern(10_000, seed: 1))
                try await other.writeRedirected(new.handle, at: 0, pattern(10_000, seed: 2))
                try await other.done(.rename(other.name("new"), to: other.name("old"), flags: 0))
                #expect(try await node.lookup("old").handle == new.handle)
                #expect(try await node.attributes(old.handle).linkCount == 0)
                #expect(try await node.attributes(new.handle).linkCount == 1)
                #expect(try await node.read(old, at: 0, count: 10_000) == pattern(10_000, seed: 1))
                try await node.write(old, at: 0, pattern(8192, seed: 3))
                try await node.close(old)
                #expect(try await Self.becomesEmpty(fixture))
                #expect(try await other.read(new, at: 0, count: 10_000) == pattern(10_000, seed: 2))
                // Nothing is hidden for a rename onto another name of the same file, or by exchange.
                try await other.done(.link(new.handle, other.name("link")))
                try await other.done(.rename(other.name("old"), to: other.name("link"), flags: 0))
                let spare = try await node.create("spare")
                try await other.done(.rename(other.name("old"), to: other.name("spare"), flags: 2))
                #expect(try await node.lookup("old").handle == spare.handle)
                #expect(try Self.hiddenCount(fixture) == 0)
            }
        }

        /// A session that is over closes what it had open; what it alone held goes.
        @Test(arguments: FileSystemKind.allCases) func hiddenFilesGoWithTheirSession(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                _ = try await node.create("file")
                try await other.done(.unlink(other.name("file")))
                _ = try await node.createUnnamed()
                #expect(try Self.hiddenCount(fixture) == 2)
                node.leave()
                #expect(try await Self.becomesEmpty(fixture))
            }
        }

        /// Sessions that end while their requests are under way leave nothing behind.
        @Test(arguments: FileSystemKind.allCases) func sessionsThatEndInTheMiddle(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let other = fixture.other
                for round in 0..<20 {
                    let node = try FakeNode(
                        "passing\(round)", fixture.coordinator, image: fixture.image, rules: .all)
                    let file = try await node.create("file\(round)")
                    let work = Task {
                        _ = try? await node.createUnnamed()
                        _ = try? await node.grow(file, ByteRange(start: 0, end: 1 << 20))
                    }
                    for _ in 0..<(round * 3) { await Task.yield() }
                    node.leave()
                    await work.value
                    #expect(try await other.lookup("file\(round)").attributes.sizeBytes == 0)
                    try await other.done(.unlink(other.name("file\(round)")))
                }
                #expect(try await Self.becomesEmpty(fixture))
            }
        }

        @Test(arguments: FileSystemKind.allCases) func unnamedFiles(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let (file, lost) = (try await node.createUnnamed(), try await node.createUnnamed())
                #expect(try await node.attributes(file.handle).linkCount == 0)
                let bytes = pattern(1 << 17, seed: 1)
                try await node.write(file, at: 0, bytes)
                try await node.write(lost, at: 0, bytes)
                let entry = try await node.entry(.link(file.handle, node.name("named")))
                #expect(entry.attributes.linkCount == 1)
                #expect(
                    entry.attributes.sizeBytes == UInt64(bytes.count) || node.ownSize(file) != nil)
                let reader = try await other.open("named")
                #expect(try await other.read(reader, at: 0, count: bytes.count) == bytes)
                try await node.close(file)
                try await node.close(lost)
                try await other.close(reader)
                #expect(try await Self.becomesEmpty(fixture))
                let after = try await other.open("named")
                #expect(try await other.read(after, at: 0, count: bytes.count) == bytes)
                #expect(try await other.attributes(after.handle).linkCount == 1)
            }
        }

        /// A direct write moves mtime for whoever asks, and for everybody with the last close.
        @Test(arguments: FileSystemKind.allCases) func writesMoveTimes(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.writeRedirected(file.handle, at: 0, pattern(1 << 17, seed: 1))
                let old = Timestamp(seconds: 1_000_000, nanoseconds: 5)
                func age() async throws {
                    var change = AttributeChange()
                    change.modificationTime = .to(old)
                    try await other.done(.setAttributes(file.handle, change))
                    #expect(try await other.attributes(file.handle).modificationTime == old)
                }
                try await age()
                let before = node.directWrites
                try await node.write(file, at: 4096, pattern(4096, seed: 2))
                #expect(node.directWrites == before + 1)
                let seen = try await other.attributes(file.handle).modificationTime
                #expect(seen.seconds > old.seconds)
                #expect(try await other.attributes(file.handle).modificationTime == seen)
                try await age()
                try await node.write(file, at: 4096, pattern(4096, seed: 3))
                try await node.close(file)
                #expect(
                    try await other.lookup("file").attributes.modificationTime.seconds > old.seconds
                )
            }
        }

        @Test func locksExcludeAcrossNodes() async throws {
            try await RuleFixture.run(.xfs) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let (mine, theirs) = (try await node.create("file"), try await other.open("file"))
                func lock(
                    _ file: NodeFile, _ type: LockType, waits: Bool = false
                ) -> LockRequest {
                    LockRequest(
                        file: file.handle, open: file.open, owner: 7, kind: .record, type: type,
                        startBytes: 100, lastBytes: 199, processID: 42, waits: waits)
                }
                try await node.done(.lock(lock(mine, .write)))
                #expect(
                    await other.call(.lock(lock(theirs, .write))).result == .failed(.tryAgain))
                let conflict = LockConflict(
                    type: .write, startBytes: 100, lastBytes: 199, processID: 0)
                #expect(
                    await other.call(.testLock(lock(theirs, .read))).result
                        == .lockConflict(conflict))
                // A wait that is cancelled, and one that is not.
                let sequence = other.nextSequence()
                async let cancelled = other.call(
                    .lock(lock(theirs, .write, waits: true)), sequence: sequence)
                try await Task.sleep(for: .milliseconds(50))
                try await other.done(.cancelLock(sequence: sequence))
                #expect(await cancelled.result == .failed(.interrupted))
                async let waited = other.call(.lock(lock(theirs, .write, waits: true)))
                try await Task.sleep(for: .milliseconds(50))
                try await node.close(mine)
                #expect(await waited.result == .done)
                // The end of a session wakes who waits for its locks.
                let again = try await node.open("file")
                async let inherited = node.call(.lock(lock(again, .read, waits: true)))
                try await Task.sleep(for: .milliseconds(50))
                other.leave()
                #expect(await inherited.result == .done)
            }
        }
    }
}
