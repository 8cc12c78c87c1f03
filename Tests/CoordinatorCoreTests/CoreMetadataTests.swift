import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Rule recall-before-change: what nodes may show without asking, and when it is taken back.
struct CoreMetadataTests {
    typealias Fixture = CoreFixture
    let root = CoreFixture.root
    let file = CoreFixture.file(1)
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let name = CoreFixture.name("a")
    let other = CoreFixture.name("b")
    let creator = Creator(userID: 1, groupID: 2, umask: 0)

    private var mode: Operation {
        var change = AttributeChange()
        change.mode = 0o600
        return .setAttributes(file, change)
    }

    private var shown: CommandResult {
        .performed(.attributes(Fixture.attributes(file)), sizeBytes: 0)
    }

    /// The node is granted the file's attributes.
    private func stat(_ fixture: Fixture, _ node: NodeIdentity) throws -> [CoordinatorAction] {
        try fixture.end(fixture.request(node, .attributes(file)), shown)
    }

    private func lookUp(
        _ fixture: Fixture, _ node: NodeIdentity, _ found: FileEntry?
    ) throws -> [CoordinatorAction] {
        let result: CommandResult =
            found.map { .performed(.entry($0), sizeBytes: nil) } ?? .failed(.noEntry)
        return try fixture.end(fixture.request(node, .lookup(name)), result)
    }

    @Test func attributesAreRecalledBeforeTheyChange() throws {
        let fixture = Fixture()
        #expect(try stat(fixture, node1).grants == [.attributes])
        let asked = fixture.request(node2, mode)
        #expect(asked.metadataRecalls == ["node1 1"] && asked.commands.isEmpty)
        // Until it has ended nobody is granted its attributes.
        let looking = fixture.request(node1, .lookup(name))
        let found = try fixture.end(
            looking, .performed(.entry(Fixture.entry(file)), sizeBytes: nil))
        #expect(found.grants == [.names])
        let changing = fixture.answer(asked)
        #expect(changing.commands == [.perform(mode)])
        let ended = try fixture.end(changing, shown)
        #expect(ended.replies == [.attributes(Fixture.attributes(file))])
        #expect(ended.grants == [.attributes], "nobody else changed it meanwhile")
        #expect(fixture.core.metadata.holders(of: file) == [node2])
    }

    @Test func ownGrantsAreTheAskersOwnMatter() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        #expect(fixture.request(node1, mode).commands == [.perform(mode)])
    }

    @Test func theBrokenRuleRecallsNothing() throws {
        let fixture = Fixture(rules: SafetyRules.all.subtracting(.recallBeforeChange))
        _ = try stat(fixture, node1)
        #expect(fixture.request(node2, mode).commands == [.perform(mode)])
    }

    @Test func namesPresentAndAbsent() throws {
        for found in [Fixture.entry(file), nil] {
            let fixture = Fixture()
            let grant = try lookUp(fixture, node1, found).grants
            #expect(grant == [found == nil ? .names : .all])
            let making = Operation.makeDirectory(other, mode: 0o755, creator)
            let asked = fixture.request(node2, making)
            #expect(asked.metadataRecalls == ["node1 0"])
            #expect(fixture.answer(asked).commands == [.perform(making)])
        }
    }

    @Test func aLookThatACreationOvertookIsNotGranted() throws {
        let fixture = Fixture()
        let looking = fixture.request(node1, .lookup(name))
        let making = Operation.makeDirectory(name, mode: 0o755, creator)
        let made = Fixture.entry(file, kind: .directory)
        let ended = try fixture.end(
            fixture.request(node2, making), .performed(.entry(made), sizeBytes: nil))
        #expect(ended.grants == [.all])
        let late = try fixture.end(looking, .failed(.noEntry))
        #expect(late.replies == [.failed(.noEntry)] && late.grants == [[]])
    }

    @Test func aLookWhileACreationRunsIsNotGranted() throws {
        let fixture = Fixture()
        let making = fixture.request(node2, .makeDirectory(name, mode: 0o755, creator))
        let looking = fixture.request(node1, .lookup(name))
        let made = Fixture.entry(file, kind: .directory)
        try fixture.end(making, .performed(.entry(made), sizeBytes: nil))
        #expect(try fixture.end(looking, .failed(.noEntry)).grants == [[]])
    }

    @Test func theVictimsGrantsAreRecalledEvenFromTheAsker() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        _ = try stat(fixture, node2)
        let found = try fixture.end(
            fixture.request(node2, .unlink(name)), .resolved([Fixture.entry(file, links: 2)]))
        #expect(found.metadataRecalls == ["node1 1", "node2 1"])
        #expect(fixture.answer(found).commands == [.perform(.unlink(name))])
    }

    @Test func aDirectoryThatIsRemovedIsConcerned() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        let entry = Fixture.entry(file, kind: .directory, links: 2)
        let found = try fixture.end(
            fixture.request(node2, .removeDirectory(name)), .resolved([entry]))
        #expect(found.metadataRecalls == ["node1 1"])
        #expect(fixture.answer(found).commands == [.perform(.removeDirectory(name))])
    }

    @Test func exchangedFilesAreConcerned() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        let rename = Operation.rename(name, to: other, flags: RenameFlags.exchange)
        let found = try fixture.end(
            fixture.request(node2, rename),
            .resolved([Fixture.entry(Fixture.file(2)), Fixture.entry(file)]))
        #expect(found.metadataRecalls == ["node1 1"])
        #expect(fixture.answer(found).commands == [.perform(rename)])
    }

    @Test func aLayoutKeepsOthersFromShowingAttributes() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        try fixture.open(node2, file, size: 4096)
        let asked = fixture.request(node2, .layoutGet(file, .everything))
        #expect(asked.metadataRecalls == ["node1 1"] && asked.commands.isEmpty)
        try fixture.end(fixture.answer(asked), Fixture.mapped(0..<1, size: 4096))
        let looking = fixture.request(node1, .attributes(file))
        #expect(looking.collections == ["node2"])
        #expect(try fixture.end(fixture.answer(looking), shown).grants == [[]])
        #expect(try stat(fixture, node2).grants == [.attributes], "it alone may write it")
    }

    @Test func whatANodeReportsIsRecalledFromIt() throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 1)
        #expect(try stat(fixture, node1).grants == [.attributes])
        let looking = fixture.request(node2, .attributes(file))
        let settling = fixture.answer(looking, WriteReport(ageNanoseconds: 5))
        #expect(settling.metadataRecalls == ["node1 1"])
        let settled = fixture.answer(settling)
        #expect(settled.commands == [.settle(file, WriteReport(ageNanoseconds: 5))])
    }

    @Test func silentNodesKeepWhatTheyHaveUntilTheyAreProvenGone() throws {
        let fixture = Fixture()
        _ = try stat(fixture, node1)
        let asked = fixture.request(node2, mode)
        #expect(asked.commands.isEmpty && fixture.core.owedRecalls.count == 1)
        // A connection that comes back is asked again.
        #expect(fixture.send(.sessionOpened(node1)).metadataRecalls == ["node1 1"])
        #expect(fixture.send(.nodeForgotten("node1")).commands == [.perform(mode)])
        #expect(fixture.core.metadata.holders(of: file).isEmpty)
    }

    /// It runs when its node may have been granted the file anew.
    @Test func aRequestOfAnEndedSessionSparesNobody() throws {
        let fixture = Fixture()
        let holding = fixture.request(node2, .synchronize(file))
        #expect(fixture.request(node1, mode).isEmpty, "it waits for the file")
        fixture.send(.sessionEnded(node1))
        fixture.send(.sessionOpened(node1))
        let found = try lookUp(fixture, node1, Fixture.entry(file))
        #expect(found.grants == [.all])
        let next = try fixture.end(holding, .performed(.done, sizeBytes: nil))
        #expect(next.metadataRecalls == ["node1 1"])
        #expect(fixture.answer(next).commands == [.perform(mode)])
    }

    /// Without a slot a late copy of a request may run after its repetition was answered.
    @Test func aRequestWithoutASlotSparesNobody() throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 1)
        _ = try stat(fixture, node1)
        let report = WriteReport(ageNanoseconds: 1)
        let asked = fixture.request(
            node1, .layoutReturn(file, ByteRange(start: 0, end: 0), report))
        #expect(asked.metadataRecalls == ["node1 1"])
        #expect(fixture.answer(asked).commands == [.settle(file, report)])
    }

    @Test func theOldestGrantsMakeRoom() throws {
        let fixture = Fixture()
        fixture.core = CoordinatorCore(metadataGrantsMaximum: 2)
        fixture.send(.sessionOpened(node1))
        for number: UInt8 in 1...2 {
            let handle = Fixture.file(number)
            try fixture.end(
                fixture.request(node1, .attributes(handle)),
                .performed(.attributes(Fixture.attributes(handle)), sizeBytes: 0))
        }
        let third = Fixture.file(3)
        let answered = try fixture.end(
            fixture.request(node1, .attributes(third)),
            .performed(.attributes(Fixture.attributes(third)), sizeBytes: 0))
        #expect(answered.grants == [.attributes] && answered.metadataRecalls == ["node1 1"])
        // What is on its way back is not granted again before it has arrived.
        let again = try fixture.end(fixture.request(node1, .attributes(file)), shown)
        #expect(again.grants == [[]])
        _ = fixture.answer(answered)
        #expect(fixture.core.metadata.holders(of: file).isEmpty && fixture.core.taskCount == 0)
    }

    @Test func directoriesWithAttributes() throws {
        let fixture = Fixture()
        try fixture.map(node2, Fixture.file(2), blocks: 1)
        func entry(_ number: UInt8) -> DirectoryEntryWithFile {
            DirectoryEntryWithFile(
                entry: DirectoryEntry(
                    name: [0x60 + number], inode: UInt64(number), kind: .regular, nextCookie: 1),
                file: Fixture.entry(Fixture.file(number)))
        }
        let reading = Operation.readDirectory(
            root, cookie: 0, maximumBytes: 4096, withAttributes: true)
        let ended = try fixture.end(
            fixture.request(node1, reading),
            .performed(.directory([entry(1), entry(2)], atEnd: true), sizeBytes: nil))
        guard case .directory(let entries, _)? = ended.replies.first else {
            throw FixtureError(description: "no directory: \(ended)")
        }
        #expect(entries.map(\.isGranted) == [true, false] && ended.grants == [.names])
        #expect(fixture.core.metadata.holders(of: file) == [node1])
        #expect(fixture.core.metadata.holders(of: root) == [node1])
    }

    @Test func nothingIsLeftBehind() throws {
        let fixture = Fixture()
        _ = try lookUp(fixture, node1, Fixture.entry(file))
        fixture.send(.sessionEnded(node1))
        #expect(fixture.core.metadata.inodeCount == 0)
    }
}
