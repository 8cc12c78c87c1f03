import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Sessions that are opened again, requests that are asked again, and planned moves.
struct CoreSessionTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2

    private func lock(_ open: OpenID, waits: Bool) -> VolumeProtocol.Operation {
        .lock(
            LockRequest(
                file: file, open: open, owner: 5, kind: .record, type: .write, startBytes: 0,
                lastBytes: 9, processID: 1, waits: waits))
    }

    private func truncation() -> VolumeProtocol.Operation {
        var change = AttributeChange()
        change.sizeBytes = 0
        return .setAttributes(file, change)
    }

    @Test func withoutASession() {
        let fixture = Fixture()
        let stranger = NodeIdentity(name: "node9", incarnation: Incarnation(9))
        #expect(fixture.request(stranger, .statistics).refusals == [.noSession])
    }

    @Test func openedAgainItKeepsEverything() throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 4)
        let mine = try fixture.open(node1, file)
        let theirs = try fixture.open(node2, file)
        #expect(fixture.request(node1, lock(mine, waits: false)).replies == [.done])
        #expect(fixture.request(node2, lock(theirs, waits: true)).isEmpty)
        let recalls = fixture.request(node2, truncation())
        #expect(recalls.recalls.count == 1)
        // The recall is asked again, with its old number and generation.
        #expect(fixture.send(.sessionOpened(node1)) == recalls)
        #expect(fixture.core.files[file]?.opens[node1]?.count == 2)
        #expect(fixture.core.files[file]?.layouts[node1] != nil)
        // A wait for a lock is asked for anew.
        #expect(fixture.send(.sessionOpened(node2)).refusals == [.notCoordinator])
        #expect(fixture.request(node1, .release(file, mine, WriteReport())).isEmpty)
        let next = fixture.answer(recalls)
        _ = fixture.answer(recalls, WriteReport(ageNanoseconds: 9))
        #expect(next.commands == [.perform(truncation())], "the second answer is old news")
    }

    @Test func aRequestUnderWayIsAnsweredOnce() throws {
        let fixture = Fixture()
        let begun = fixture.request(node1, 7, .attributes(file))
        #expect(begun.commands.count == 1)
        #expect(fixture.request(node1, 7, .attributes(file)).isEmpty)
        let attributes = Fixture.attributes(file)
        let ended = try fixture.end(begun, .performed(.attributes(attributes), sizeBytes: 0))
        #expect(ended.replies == [.attributes(attributes)])
    }

    @Test func drainingEndsWhatWaitsForEver() throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 4)
        let mine = try fixture.open(node1, file)
        let theirs = try fixture.open(node2, file)
        fixture.request(node1, lock(mine, waits: false))
        fixture.request(node2, lock(theirs, waits: true))
        let recalls = fixture.request(node2, truncation())
        let drained = fixture.send(.draining)
        #expect(drained.refusals == [.notCoordinator] && drained.count == 1)
        #expect(!fixture.core.isIdle)
        #expect(fixture.request(node2, .statistics).refusals == [.notCoordinator])
        let performing = fixture.answer(recalls)
        #expect(performing.commands == [.perform(truncation())])
        let attributes = Fixture.attributes(file, size: 0)
        let done = try fixture.end(
            performing, .performed(.attributes(attributes), sizeBytes: 0))
        #expect(done.replies == [.attributes(attributes)] && fixture.core.isIdle)
    }

    @Test func drainingInGrace() {
        let fixture = Fixture(
            started: .started(attached: ["node1"], hidden: [], grown: [], outcomes: []))
        fixture.send(.sessionOpened(node1))
        fixture.request(node1, 1, slot: 0, truncation())
        #expect(fixture.send(.draining).refusals == [.notCoordinator])
        #expect(fixture.core.isIdle)
    }
}
