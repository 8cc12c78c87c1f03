import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// The time after a coordinator's start in which nodes tell what they hold.
struct CoreGraceTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let other = CoreFixture.file(2)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let node3 = CoreFixture.node3

    private func started(
        _ attached: [String], hidden: [FileHandle] = [], grown: [GrownFile] = []
    ) -> CoreFixture {
        Fixture(
            started: .started(attached: attached, hidden: hidden, grown: grown, outcomes: []))
    }

    private func lock(_ open: OpenID, _ type: LockType = .write) -> LockRequest {
        LockRequest(
            file: file, open: open, owner: 5, kind: .record, type: type, startBytes: 0,
            lastBytes: 9, processID: 1, waits: false)
    }

    @Test func nothingToWaitFor() {
        let fixture = Fixture()
        fixture.core = CoordinatorCore()
        let actions = fixture.send(
            .started(
                attached: [], hidden: [file],
                grown: [GrownFile(file: other, visibleSizeBytes: 5)], outcomes: []))
        let cut = Command.settle(other, WriteReport(grownSizeBytes: 5))
        #expect(actions.commands == [cut, .removeHidden(file)])
        #expect(!fixture.core.isInGrace && fixture.core.graceWaitingFor.isEmpty)
    }

    @Test func onlyTellingIsServed() throws {
        let fixture = started(["node2", "node1"])
        #expect(fixture.core.graceWaitingFor == ["node1", "node2"])
        for node in [node1, node2, node3] { fixture.send(.sessionOpened(node)) }
        let name = Fixture.name("a")
        let held: [VolumeProtocol.Operation] = [
            .lookup(name), .attributes(file), .unlink(name), .layoutGet(file, .everything),
            .read(file, Fixture.blocks(0..<1)), .write(file, offsetBytes: 0, []), .statistics,
        ]
        for operation in held {
            #expect(fixture.request(node1, operation).isEmpty, "\(operation)")
            // A node that was not attached may come, and waits as well.
            #expect(fixture.request(node3, operation).isEmpty, "\(operation)")
        }
        #expect(fixture.request(node1, .root).commands == [.perform(.root)])
        try fixture.open(node1, file, size: block)
        #expect(fixture.request(node1, .reclaimed).replies == [.done])
        #expect(fixture.core.graceWaitingFor == ["node2"])
        // Told again, it is no news.
        #expect(fixture.request(node1, .reclaimed).replies == [.done])
        let begun = fixture.request(node2, .reclaimed)
        #expect(begun.replies.first == .done && begun.commands.count >= 6)
        #expect(!fixture.core.isInGrace)
        #expect(fixture.request(node1, .reclaimed).replies == [.done])
    }

    @Test func reclaimedLayoutsAreRecalled() throws {
        let fixture = started(["node1", "node2"])
        for node in [node1, node2] { fixture.send(.sessionOpened(node)) }
        let reclaim = Operation.reclaimLayout(file, [Fixture.blocks(2..<4)], growth: nil)
        #expect(fixture.request(node1, reclaim).replies == [.failed(.badDescriptor)])
        try fixture.open(node1, file, size: 8 * block)
        #expect(fixture.request(node1, reclaim).replies == [.done])
        #expect(fixture.request(node1, reclaim).replies == [.done])
        fixture.request(node1, .reclaimed)
        var change = AttributeChange()
        change.sizeBytes = 0
        #expect(fixture.request(node2, .setAttributes(file, change)).isEmpty)
        let begun = fixture.request(node2, .reclaimed)
        #expect(begun.recalls == ["node1 [0, \(UInt64.max))"])
        #expect(fixture.request(node1, reclaim).replies == [.failed(.stale)], "too late")
    }

    @Test func growthsAreReclaimedOnce() throws {
        let grown = GrownFile(file: file, visibleSizeBytes: block)
        let fixture = started(["node1", "node2"], grown: [grown])
        for node in [node1, node2] {
            fixture.send(.sessionOpened(node))
            try fixture.open(node, file, size: 9 * block)
        }
        func claim(_ file: FileHandle) -> VolumeProtocol.Operation {
            .reclaimLayout(
                file, [Fixture.blocks(1..<9)],
                growth: GrowthClaim(visibleSizeBytes: 7, allocatedEndBytes: 9 * block))
        }
        #expect(fixture.request(node1, claim(file)).replies == [.done])
        #expect(fixture.request(node1, claim(file)).replies == [.done], "asked again")
        #expect(fixture.request(node2, claim(file)).replies == [.failed(.stale)])
        fixture.request(node1, .reclaimed)
        #expect(fixture.request(node2, .reclaimed).commands.isEmpty, "nothing to settle")
        let growth = fixture.core.files[file]?.growth
        #expect(growth?.session == node1 && growth?.visibleSizeBytes == block)
        #expect(growth?.allocatedEndBytes == 9 * block)
    }

    /// The coordinator before had settled it: the blocks beyond may be another file's.
    @Test func aGrowthWithoutANoteIsGone() throws {
        let fixture = started(["node1"])
        fixture.send(.sessionOpened(node1))
        try fixture.open(node1, file, size: block)
        let claim = GrowthClaim(visibleSizeBytes: block, allocatedEndBytes: 9 * block)
        let reclaim = Operation.reclaimLayout(file, [Fixture.blocks(0..<9)], growth: claim)
        #expect(fixture.request(node1, reclaim).replies == [.failed(.stale)])
        #expect(fixture.core.files[file]?.layouts.isEmpty == true)
    }

    @Test func locksAreReclaimed() throws {
        let fixture = started(["node1", "node2"])
        for node in [node1, node2] { fixture.send(.sessionOpened(node)) }
        let mine = try fixture.open(node1, file)
        let theirs = try fixture.open(node2, file)
        #expect(fixture.request(node1, .reclaimLock(lock(mine))).replies == [.done])
        #expect(fixture.request(node2, .lock(lock(theirs))).isEmpty, "a new lock waits")
        #expect(
            fixture.request(node2, .reclaimLock(lock(theirs))).replies == [.failed(.tryAgain)])
        fixture.request(node1, .reclaimed)
        #expect(fixture.request(node2, .reclaimed).replies == [.done, .failed(.tryAgain)])
        #expect(fixture.request(node1, .reclaimLock(lock(mine))).replies == [.failed(.stale)])
    }

    @Test func hiddenFilesStayForWhoHasThemOpen() throws {
        let fixture = started(["node1"], hidden: [file, other])
        fixture.send(.sessionOpened(node1))
        let open = try fixture.open(node1, file)
        #expect(fixture.request(node1, .reclaimed).commands == [.removeHidden(other)])
        let shown = try fixture.end(
            fixture.request(node1, .attributes(file)),
            .performed(.attributes(Fixture.attributes(file, links: 1)), sizeBytes: 0))
        #expect(shown.replies == [.attributes(Fixture.attributes(file, links: 0))])
        let last = fixture.request(node1, .release(file, open, WriteReport()))
        #expect(last.commands == [.removeHidden(file)])
    }

    /// Opened, and released before the grace is over: it goes at its end.
    @Test func releasedInGrace() throws {
        let fixture = started(["node1", "node2"], hidden: [file])
        fixture.send(.sessionOpened(node1))
        let open = try fixture.open(node1, file)
        #expect(fixture.request(node1, .release(file, open, WriteReport())).isEmpty)
        #expect(fixture.request(node1, .reclaimed).commands.isEmpty)
        let ended = fixture.send(.nodeForgotten("node2"))
        #expect(ended.commands == [.removeHidden(file)] && ended.replies == [.done])
    }

    @Test func fencedAndLeavingNodesAreNotWaitedFor() throws {
        let grown = GrownFile(file: file, visibleSizeBytes: block)
        let fixture = started(["node1", "node2", "node3"], grown: [grown])
        for node in [node1, node2] { fixture.send(.sessionOpened(node)) }
        try fixture.open(node1, file, size: 9 * block)
        let claim = GrowthClaim(visibleSizeBytes: block, allocatedEndBytes: 9 * block)
        fixture.request(node1, .reclaimLayout(file, [], growth: claim))
        fixture.send(.nodeForgotten("node3"))
        fixture.send(.sessionEnded(node2))
        #expect(fixture.core.graceWaitingFor == ["node1"])
        // What the fenced one had reclaimed ends with it.
        let ended = fixture.send(.nodeForgotten("node1"))
        #expect(ended.commands == [.settle(file, WriteReport(grownSizeBytes: block))])
        #expect(!fixture.core.isInGrace && !fixture.core.hasSession(node1))
        #expect(fixture.send(.nodeForgotten("node1")).isEmpty)
    }

    @Test func whatWaitsIsBounded() {
        let fixture = started(["node1", "node2"])
        for node in [node1, node2] { fixture.send(.sessionOpened(node)) }
        for _ in 0..<Limits.requestsPerSessionMaximum {
            #expect(fixture.request(node1, .statistics).isEmpty)
        }
        #expect(fixture.request(node1, .statistics).refusals == [.tooManyRequests])
        #expect(fixture.request(node2, .statistics).isEmpty, "another's room is its own")
        fixture.request(node2, .reclaimed)
        // A session that ends takes what it waits for along.
        let ended = fixture.send(.sessionEnded(node1))
        #expect(ended.commands == [.perform(.statistics)])
    }
}
