import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

extension RealVolumes {
    /// Rule recall-before-change: what a node shows of names and attributes without asking.
    @Suite struct Metadata {
        /// What the node's processes see, and whether the coordinator was asked for it.
        private struct View {
            var entry: FileEntry?
            var isCached: Bool
        }

        private static func view(_ node: FakeNode, _ name: String) async throws -> View {
            switch node.cached(name) {
            case .entry(let entry): return View(entry: entry, isCached: true)
            case .absent: return View(entry: nil, isCached: true)
            case nil: break
            }
            return View(entry: try await asked(node, name), isCached: false)
        }

        private static func asked(_ node: FakeNode, _ name: String) async throws -> FileEntry? {
            do {
                return try await node.lookup(name)
            } catch let error as ErrorCode where error == .noEntry {
                return nil
            }
        }

        /// One node looks, another changes, and the first looks again: how often it was told old
        /// things.
        private static func staleLooks(_ fixture: RuleFixture) async throws -> [String] {
            let (node, other) = (fixture.node, fixture.other)
            let root = fixture.root
            var stale: [String] = []
            func check(
                _ what: String, _ name: String, _ change: () async throws -> Void
            ) async throws {
                _ = try await view(other, name)
                let before = try await view(other, name)
                #expect(before.isCached, "\(what): nothing was granted")
                try await change()
                let after = try await view(other, name)
                let truth = try await asked(fixture.nodes[2], name)
                if after.entry != truth { stale.append(what) }
                let shown = truth.flatMap { other.cached($0.handle) }
                if let shown, shown != truth?.attributes { stale.append(what + " by handle") }
            }
            try await check("create", "a") {
                try await node.done(
                    .makeNode(
                        node.name("a"), mode: FileKind.regular.rawValue | 0o644, deviceMajor: 0,
                        deviceMinor: 0, FakeNode.creator))
            }
            let file = try await node.lookup("a").handle
            try await check("chmod", "a") {
                var change = AttributeChange()
                change.mode = 0o600
                try await node.done(.setAttributes(file, change))
            }
            try await check("truncate", "a") { try await node.truncate(file, to: 12_345) }
            try await check("write", "a") {
                try await node.writeRedirected(file, at: 100_000, pattern(100, seed: 1))
            }
            try await check("set an extended attribute", "a") {
                try await node.done(
                    .setExtendedAttribute(file, name: Array("user.x".utf8), value: [1], flags: 0))
            }
            try await check("link", "a") { try await node.done(.link(file, node.name("b"))) }
            try await check("unlink the other name", "a") {
                try await node.done(.unlink(node.name("b")))
            }
            try await check("rename", "a") {
                try await node.done(.rename(node.name("a"), to: node.name("c"), flags: 0))
            }
            try await check("rename to an absent name", "a") {
                try await node.done(.rename(node.name("c"), to: node.name("a"), flags: 0))
            }
            try await check("unlink", "a") { try await node.done(.unlink(node.name("a"))) }
            try await check("make a directory", "d") {
                try await node.done(
                    .makeDirectory(node.name("d"), mode: 0o755, FakeNode.creator))
            }
            let directory = try await node.lookup("d").handle
            try await check("make a directory in it", "d") {
                try await node.done(
                    .makeDirectory(node.name("e", in: directory), mode: 0o755, FakeNode.creator))
            }
            try await check("move it out", "d") {
                try await node.done(
                    .rename(node.name("e", in: directory), to: node.name("e"), flags: 0))
            }
            try await check("remove the directory", "d") {
                try await node.done(.removeDirectory(node.name("d")))
            }
            #expect(other.cached(root) == nil || other.cached(root)?.linkCount == 3)
            return stale
        }

        @Test(arguments: RuleCase.all) func changedElsewhere(_ run: RuleCase) async throws {
            try await RuleFixture.run(run.kind, rules: run.rules(.recallBeforeChange)) { fixture in
                let stale = try await Self.staleLooks(fixture)
                #expect(stale.isEmpty != run.isControl, "\(stale)")
            }
        }

        /// Who may write a file directly is the only one to show its attributes.
        @Test(arguments: FileSystemKind.allCases) func directWrites(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                let file = try await node.create("file")
                try await node.writeRedirected(file.handle, at: 0, pattern(65_536, seed: 1))
                _ = try await other.attributes(file.handle)
                #expect(other.cached(file.handle) != nil)
                _ = try await node.read(file, at: 0, count: 4096)
                #expect(other.metadataRecalls == [file.handle])
                let before = try await other.attributes(file.handle)
                #expect(other.cached(file.handle) == nil)
                #expect(node.cached(file.handle) == nil)
                _ = try await node.attributes(file.handle)
                #expect(node.cached(file.handle) != nil)
                try await Task.sleep(for: .milliseconds(20))
                try await node.write(file, at: 0, pattern(8192, seed: 2))
                #expect(node.directWrites > 0 && node.cached(file.handle) == nil)
                let after = try await other.attributes(file.handle)
                #expect(after.modificationTime > before.modificationTime)
                #expect(try await node.attributes(file.handle) == after)
                #expect(node.cached(file.handle) == after)
                try await node.close(file)
                _ = try await other.attributes(file.handle)
                #expect(other.cached(file.handle) == after)
            }
        }

        /// A directory that is read with attributes is known afterwards.
        @Test(arguments: FileSystemKind.allCases) func readDirectories(
            _ kind: FileSystemKind
        ) async throws {
            try await RuleFixture.run(kind) { fixture in
                let (node, other) = (fixture.node, fixture.other)
                for number in 0..<50 { try await node.close(node.create("file\(number)")) }
                _ = await other.call(
                    .readDirectory(
                        fixture.root, cookie: 0, maximumBytes: 65_536, withAttributes: true))
                for number in 0..<50 {
                    let truth = try await node.lookup("file\(number)")
                    #expect(other.cached("file\(number)") == .entry(truth))
                }
                try await node.done(.unlink(node.name("file7")))
                #expect(other.cached("file8") == nil, "the directory's names were recalled")
            }
        }
    }
}
