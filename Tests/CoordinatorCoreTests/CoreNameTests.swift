import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Removing and making files, between sessions that come and go.
struct CoreNameTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let name = CoreFixture.name("a")
    let other = CoreFixture.name("b")
    let creator = Creator(userID: 1, groupID: 2, umask: 0)

    private func resolve(
        _ fixture: Fixture, _ operation: Operation, _ found: [FileEntry?]
    ) throws -> [CoordinatorAction] {
        try fixture.end(fixture.request(node2, operation), .resolved(found))
    }

    @Test func unusedFilesAreRemoved() throws {
        let fixture = Fixture()
        let actions = try resolve(fixture, .unlink(name), [Fixture.entry(file)])
        #expect(actions.commands == [.perform(.unlink(name))])
        #expect(try fixture.end(actions, .performed(.done, sizeBytes: nil)).replies == [.done])
        #expect(fixture.core.taskCount == 0 && fixture.core.files.isEmpty)
    }

    @Test func lastNameOfAnOpenFileIsHidden() throws {
        let fixture = Fixture()
        let open = try fixture.open(node1, file)
        let hiding = try resolve(fixture, .unlink(name), [Fixture.entry(file)])
        #expect(hiding.commands == [.hide(name, file)])
        #expect(try fixture.end(hiding, .performed(.done, sizeBytes: nil)).replies == [.done])
        // Its private name is not counted.
        let stat = fixture.request(node1, .attributes(file))
        let shown = try fixture.end(
            stat, .performed(.attributes(Fixture.attributes(file)), sizeBytes: 0))
        #expect(shown.replies == [.attributes(Fixture.attributes(file, links: 0))])
        let removing = fixture.request(node1, .release(file, open, WriteReport()))
        #expect(removing.replies == [.done] && removing.commands == [.removeHidden(file)])
        try fixture.end(removing, .done)
        #expect(fixture.core.files.isEmpty && fixture.core.taskCount == 0)
    }

    @Test func openedAgainBeforeItIsRemoved() throws {
        let fixture = Fixture()
        let open = try fixture.open(node1, file)
        try fixture.end(
            try resolve(fixture, .unlink(name), [Fixture.entry(file)]),
            .performed(.done, sizeBytes: nil))
        // The second open is registered, and waits, while the first is released.
        let syncing = fixture.request(node2, .synchronize(file))
        #expect(fixture.request(node1, .release(file, open, WriteReport())).isEmpty)
        #expect(fixture.request(node2, .open(file, OpenID(99))).isEmpty)
        let next = try fixture.end(syncing, .performed(.done, sizeBytes: nil))
        #expect(!next.commands.contains(.removeHidden(file)), "\(next)")
        try fixture.end(next, .performed(.done, sizeBytes: 0))
        let last = fixture.request(node2, .release(file, OpenID(99), WriteReport()))
        #expect(last.commands == [.removeHidden(file)])
    }

    @Test func otherNamesAndDirectoriesAreNotHidden() throws {
        let cases = [
            Fixture.entry(file, links: 2), Fixture.entry(file, kind: .directory, links: 1),
        ]
        for entry in cases {
            let fixture = Fixture()
            try fixture.open(node1, file)
            #expect(
                try resolve(fixture, .unlink(name), [entry]).commands == [.perform(.unlink(name))])
        }
        let fixture = Fixture()
        #expect(
            try resolve(fixture, .unlink(name), [nil]).commands == [.perform(.unlink(name))],
            "the file system says what is wrong")
    }

    @Test func renameOver() throws {
        let (source, victim) = (Fixture.entry(Fixture.file(2)), Fixture.entry(file))
        let rename = Operation.rename(name, to: other, flags: 0)
        let fixture = Fixture()
        try fixture.open(node1, file)
        let hiding = try resolve(fixture, rename, [source, victim])
        #expect(hiding.commands == [.renameHiding(name, to: other, victim: file)])
        let failed = try fixture.end(hiding, .failed(.noSpace))
        #expect(failed.replies == [.failed(.noSpace)])
        #expect(fixture.core.files[file]?.isHidden == false)
        #expect(
            try resolve(fixture, rename, [victim, victim]).commands == [.perform(rename)],
            "both names are of one file")
        for flags: UInt32 in [1, 2] {
            let fixture = Fixture()
            try fixture.open(node1, file)
            let rename = Operation.rename(name, to: other, flags: flags)
            #expect(
                try resolve(fixture, rename, [source, victim]).commands == [.perform(rename)])
        }
    }

    /// The control of "removing a file in use".
    @Test func withoutTheRuleItIsGone() throws {
        let fixture = Fixture(rules: .all.subtracting(.recallBeforeRemap))
        try fixture.open(node1, file)
        #expect(
            try resolve(fixture, .unlink(name), [Fixture.entry(file)]).commands
                == [.perform(.unlink(name))])
    }

    @Test func removalsWaitForMaking() throws {
        let fixture = Fixture()
        let create = Operation.create(
            name, mode: 0o600, creator, open: OpenID(1), exclusive: true)
        let making = fixture.request(node1, create)
        #expect(fixture.request(node2, .unlink(other)).isEmpty)
        let stat = try fixture.end(
            making, .performed(.entry(Fixture.entry(file)), sizeBytes: nil))
        #expect(stat.commands == [.stat(file)])
        let next = try fixture.end(stat, .attributes(Fixture.attributes(file)))
        #expect(next.replies == [.entry(Fixture.entry(file))])
        #expect(next.commands == [.resolve([other])])
    }

    @Test func filesMadeForSessionsThatEnded() throws {
        let fixture = Fixture()
        let making = fixture.request(
            node1, .createUnnamed(Fixture.root, mode: 0o600, creator, open: OpenID(1)))
        fixture.send(.sessionEnded(node1))
        let removing = try fixture.end(
            making, .performed(.entry(Fixture.entry(file)), sizeBytes: nil))
        #expect(removing.commands == [.removeHidden(file)])
        try fixture.end(removing, .done)
        #expect(fixture.core.files.isEmpty && fixture.core.taskCount == 0)

        let named = fixture.request(
            node2, .create(name, mode: 0o600, creator, open: OpenID(2), exclusive: true))
        fixture.send(.sessionEnded(node2))
        try fixture.end(named, .performed(.entry(Fixture.entry(file)), sizeBytes: nil))
        #expect(fixture.core.files.isEmpty && fixture.core.taskCount == 0)
    }

    @Test func opensAreCountedByNumber() throws {
        let fixture = Fixture()
        let open = try fixture.open(node1, file)
        // Told again, it is still one open.
        let again = fixture.request(node1, .open(file, open))
        #expect(try fixture.end(again, .performed(.done, sizeBytes: 0)).replies == [.done])
        #expect(fixture.core.files[file]?.opens[node1]?.count == 1)
        let failing = fixture.request(node2, .open(file, OpenID(7)))
        #expect(
            try fixture.end(failing, .performed(.failed(.stale), sizeBytes: nil)).replies
                == [.failed(.stale)])
        #expect(fixture.core.files[file]?.opens.count == 1)
    }

    @Test func locksEndWithOpensAndSessions() throws {
        let fixture = Fixture()
        let mine = try fixture.open(node1, file)
        let theirs = try fixture.open(node2, file)
        func lock(_ open: OpenID, waits: Bool) -> Operation {
            .lock(
                LockRequest(
                    file: file, open: open, owner: 5, kind: .record, type: .write, startBytes: 0,
                    lastBytes: 9, processID: 1, waits: waits))
        }
        #expect(
            fixture.request(node1, lock(OpenID(77), waits: false)).replies
                == [.failed(.badDescriptor)])
        #expect(fixture.request(node1, lock(mine, waits: false)).replies == [.done])
        #expect(fixture.request(node2, lock(theirs, waits: false)).replies == [.failed(.tryAgain)])
        #expect(fixture.request(node2, lock(theirs, waits: true)).isEmpty)
        let released = fixture.request(node1, .release(file, mine, WriteReport()))
        #expect(released.replies == [.done, .done])
        // Released while a wait of the same open is under way, the wait ends.
        let again = try fixture.open(node1, file)
        #expect(fixture.request(node1, lock(again, waits: true)).isEmpty)
        let ended = fixture.request(node1, .release(file, again, WriteReport()))
        #expect(Set(ended.replies) == [.done, .failed(.interrupted)])
    }
}
