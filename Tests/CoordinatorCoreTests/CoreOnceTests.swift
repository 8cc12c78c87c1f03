import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Rule once: requests that are asked for again.
struct CoreOnceTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let name = CoreFixture.name("a")
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let creator = Creator(userID: 0, groupID: 0, umask: 0)

    private var make: VolumeProtocol.Operation { .makeDirectory(name, mode: 0o755, creator) }

    private func create(_ open: UInt64) -> VolumeProtocol.Operation {
        .create(name, mode: 0o600, creator, open: OpenID(open), exclusive: true)
    }

    private func started(
        _ outcomes: [(UInt16, UInt64, OnceOutcome)], hidden: [FileHandle] = [],
        attached: [String] = ["node1"]
    ) -> CoreFixture {
        let found = outcomes.map { slot, sequence, outcome in
            SlotOutcome(
                key: OnceKey(session: node1, slot: slot, sequence: sequence), outcome: outcome)
        }
        let fixture = Fixture(
            started: .started(attached: attached, hidden: hidden, grown: [], outcomes: found))
        fixture.send(.sessionOpened(node1))
        return fixture
    }

    @Test(arguments: [true, false]) func fromMemory(rulesHold: Bool) throws {
        let fixture = Fixture(rules: rulesHold ? .all : .all.subtracting(.once))
        let making = fixture.request(node1, 9, slot: 3, make)
        #expect(making.commands == [.perform(make)])
        #expect(fixture.request(node1, 9, slot: 3, make).isEmpty, "it is under way")
        let done = try fixture.end(
            making, .performed(.entry(Fixture.entry(file, kind: .directory)), sizeBytes: nil))
        let replies = done.replies
        #expect(replies.count == 1)
        let again = fixture.request(node1, 9, slot: 3, make)
        #expect(again.replies == (rulesHold ? replies : []))
        #expect(again.commands == (rulesHold ? [] : [.perform(make)]))
    }

    /// A node that was fenced while it lived comes back as it was: a late copy of what it sent before
    /// is not done once more, and its caller, if there still is one, learns nothing.
    @Test(arguments: [true, false]) func lateCopyAfterAFence(rulesHold: Bool) throws {
        let fixture = Fixture(rules: rulesHold ? .all : .all.subtracting(.once))
        let making = fixture.request(node1, 9, slot: 3, make)
        _ = try fixture.end(
            making, .performed(.entry(Fixture.entry(file, kind: .directory)), sizeBytes: nil))
        fixture.send(.nodeForgotten(node1.name))
        fixture.send(.sessionOpened(node1))
        let late = fixture.request(node1, 9, slot: 3, make)
        #expect(late.replies == (rulesHold ? [.failed(.inputOutput)] : []))
        #expect(late.commands == (rulesHold ? [] : [.perform(make)]))
        // What arrives for the first time now is of the life before as well, until it begins anew.
        let rename = VolumeProtocol.Operation.unlink(
            NameInDirectory(parent: Fixture.file(0), name: [1]))
        #expect(
            fixture.request(node1, 10, slot: 4, rename).replies
                == (rulesHold ? [.failed(.inputOutput)] : []))
        guard rulesHold else { return }
        #expect(fixture.request(node1, 20, .reclaimed).replies == [.done])
        #expect(fixture.request(node1, 19, slot: 5, make).replies == [.failed(.inputOutput)])
        #expect(fixture.request(node1, 21, slot: 3, make).commands == [.perform(make)])
    }

    /// Failures are answers like others.
    @Test func failuresAreKept() throws {
        let fixture = Fixture()
        let making = fixture.request(node1, 9, slot: 3, make)
        #expect(try fixture.end(making, .failed(.exists)).replies == [.failed(.exists)])
        #expect(fixture.request(node1, 9, slot: 3, make).replies == [.failed(.exists)])
        // Another session's slot of the same number is another slot.
        #expect(fixture.request(node2, 9, slot: 3, make).commands.count == 1)
    }

    @Test func theNextRequestAcknowledges() throws {
        let fixture = Fixture()
        let elsewhere = Operation.makeDirectory(Fixture.name("b"), mode: 0o755, creator)
        fixture.request(node1, 9, slot: 3, elsewhere)
        #expect(
            fixture.request(node1, 10, slot: 3, make).refusals == [.malformed],
            "a slot carries one request")
        let first = fixture.request(node1, 11, slot: 4, make)
        try fixture.end(first, .failed(.noSpace))
        #expect(fixture.request(node1, 12, slot: 4, .statistics).commands.count == 1)
        #expect(fixture.core.slots[node1]?[4]?.sequence == 11, "it needs no slot")
        #expect(fixture.request(node1, 13, slot: 4, make).commands == [.perform(make)])
        #expect(fixture.request(node1, 11, slot: 4, make).replies == [.failed(.stale)])
    }

    @Test func keysAreThoseOfTheRequest() throws {
        let fixture = Fixture()
        let resolving = fixture.request(node1, 9, slot: 3, .unlink(name))
        let performing = try fixture.end(resolving, .resolved([nil]))
        func key(_ actions: [CoordinatorAction]) -> OnceKey? {
            guard case .execute(let task, _)? = actions.first else { return nil }
            return fixture.core.onceKey(of: task)
        }
        #expect(key(performing) == OnceKey(session: node1, slot: 3, sequence: 9))
        #expect(key(fixture.request(node1, 10, .statistics)) == nil)
        let broken = Fixture(rules: .all.subtracting(.once))
        guard case .execute(let task, _)? = broken.request(node1, 9, slot: 3, make).first else {
            Issue.record("nothing began")
            return
        }
        #expect(broken.core.onceKey(of: task) == nil)
    }

    /// Whatever is found on the volume is answered again, with attributes as they are now.
    @Test func fromTheVolume() throws {
        let fixture = started([
            (0, 5, .done), (1, 6, .failed(.notEmpty)), (2, 7, .copied(99)),
            (3, 8, .written(offsetBytes: 1, lengthBytes: 2, sizeBytes: 3)),
            (4, 9, .attributes(file)), (5, 10, .entry(file, open: nil)),
        ])
        #expect(fixture.request(node1, 5, slot: 0, .unlink(name)).isEmpty, "grace comes first")
        #expect(fixture.request(node1, .reclaimed).replies == [.done, .done])
        #expect(
            fixture.request(node1, 6, slot: 1, .removeDirectory(name)).replies
                == [.failed(.notEmpty)])
        let copy = Operation.copyRange(
            file, sourceOffsetBytes: 0, to: file, targetOffsetBytes: 500, lengthBytes: 99)
        #expect(fixture.request(node1, 7, slot: 2, copy).replies == [.copied(99)])
        #expect(
            fixture.request(node1, 8, slot: 3, .write(file, offsetBytes: 1, []), payload: 2)
                .replies == [.written(offsetBytes: 1, lengthBytes: 2, sizeBytes: 3)])
        let attributes = Fixture.attributes(file, size: 77)
        let set = fixture.request(node1, 9, slot: 4, .setAttributes(file, AttributeChange()))
        #expect(set.commands == [.perform(.attributes(file))])
        #expect(
            try fixture.end(set, .performed(.attributes(attributes), sizeBytes: 77)).replies
                == [.attributes(attributes)])
        let stat = fixture.request(node1, 10, slot: 5, make)
        #expect(stat.commands == [.stat(file)])
        let entry = OperationResult.entry(FileEntry(handle: file, attributes: attributes))
        #expect(try fixture.end(stat, .attributes(attributes)).replies == [entry])
        // From now on it is in memory.
        #expect(fixture.request(node1, 10, slot: 5, make).replies == [entry])
        #expect(fixture.core.taskCount == 0)
    }

    /// It was made, and somebody has removed it since: that it was made stays the answer.
    @Test func madeAndGoneSince() throws {
        let fixture = started([(5, 10, .entry(file, open: nil))])
        fixture.request(node1, .reclaimed)
        let stat = fixture.request(node1, 10, slot: 5, make)
        guard case .entry(let entry)? = try fixture.end(stat, .failed(.stale)).replies.first else {
            Issue.record("no entry")
            return
        }
        #expect(entry.handle == file && entry.attributes.kind == .directory)
        #expect(entry.attributes.linkCount == 0)
    }

    @Test func newerRequestsAreNew() throws {
        let fixture = started([(0, 5, .done)])
        fixture.request(node1, .reclaimed)
        #expect(fixture.request(node1, 6, slot: 0, make).commands == [.perform(make)])
        #expect(fixture.request(node1, 5, slot: 0, .unlink(name)).replies == [.failed(.stale)])
    }

    /// Of another life of the node, or of one that is gone, nothing is answered.
    @Test func ofOthersNothing() {
        let fixture = Fixture(
            started: .started(
                attached: ["node1"], hidden: [], grown: [],
                outcomes: [
                    SlotOutcome(
                        key: OnceKey(
                            session: NodeIdentity(name: "node1", incarnation: Incarnation(77)),
                            slot: 0, sequence: 5), outcome: .done),
                    SlotOutcome(
                        key: OnceKey(session: node2, slot: 0, sequence: 5), outcome: .done),
                ]))
        for node in [node1, node2] { fixture.send(.sessionOpened(node)) }
        fixture.request(node1, .reclaimed)
        for node in [node1, node2] {
            #expect(fixture.request(node, 5, slot: 0, .unlink(name)).commands.count <= 1)
            #expect(fixture.core.slots[node]?[0]?.sequence == 5)
            if case .executing? = fixture.core.slots[node]?[0]?.state { continue }
            Issue.record("\(node) was answered")
        }
    }

    // MARK: Opens of files that were made

    /// The answer to a create was lost: its file stays, also a hidden one, until the node asks.
    @Test func aMadeFileStaysOpen() throws {
        let unnamed = Operation.createUnnamed(
            Fixture.root, mode: 0o600, creator, open: OpenID(4))
        let fixture = started([(5, 10, .entry(file, open: OpenID(4)))], hidden: [file])
        #expect(fixture.request(node1, .reclaimed).commands.isEmpty, "it is not removed")
        let stat = fixture.request(node1, 10, slot: 5, unnamed)
        _ = try fixture.end(stat, .attributes(Fixture.attributes(file)))
        #expect(fixture.core.files[file]?.opens[node1] == [OpenID(4)])
        // It is the node's now: using the slot again does not end it.
        fixture.request(node1, 11, slot: 5, make)
        #expect(fixture.core.files[file]?.opens[node1] == [OpenID(4)])
        let last = fixture.request(node1, .release(file, OpenID(4), WriteReport()))
        #expect(last.commands == [.removeHidden(file)])
    }

    /// The node had the answer, and has closed the file since.
    @Test func anOpenThatNobodyKnowsEndsWithItsSlot() throws {
        let fixture = started([(5, 10, .entry(file, open: OpenID(4)))], hidden: [file])
        fixture.request(node1, .reclaimed)
        let next = fixture.request(node1, 11, slot: 5, make)
        #expect(next.commands == [.removeHidden(file), .perform(make)])
    }

    /// The node had the answer, and tells of its open by itself.
    @Test func anOpenThatIsToldIsKept() throws {
        let fixture = started([(5, 10, .entry(file, open: OpenID(4)))], hidden: [file])
        try fixture.end(
            fixture.request(node1, .open(file, OpenID(4))),
            .performed(.done, sizeBytes: 0))
        fixture.request(node1, .reclaimed)
        fixture.request(node1, 11, slot: 5, make)
        #expect(fixture.core.files[file]?.opens[node1] == [OpenID(4)])
        #expect(create(4).needsSlot && !Operation.root.needsSlot)
    }

    /// Two that make one name: the second looks when the first has ended, recorded and durable.
    @Test func oneNameIsMadeByOneAtATime() throws {
        let fixture = Fixture()
        let first = fixture.request(node1, 1, slot: 0, create(1))
        #expect(fixture.request(node2, 2, slot: 0, create(2)).isEmpty)
        let elsewhere = Operation.makeDirectory(Fixture.name("b"), mode: 0o755, creator)
        #expect(fixture.request(node2, 3, slot: 1, elsewhere).commands.count == 1)
        let stat = try fixture.end(
            first, .performed(.entry(Fixture.entry(file)), sizeBytes: nil))
        let next = try fixture.end(stat, .attributes(Fixture.attributes(file)))
        #expect(next.replies.count == 1 && next.commands.count == 1)
    }
}
