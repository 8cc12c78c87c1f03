import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// A node's right to lengthen a file, and everybody else's view of it.
struct CoreGrowthTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let node3 = CoreFixture.node3

    @Test func othersAreShownTheSizeReached() throws {
        let fixture = Fixture()
        let grant = try fixture.grow(node1, file, blocks: 1, by: 8)
        #expect(grant.end == .at(sizeBytes: block) && grant.range == Fixture.blocks(1..<9))
        let own = fixture.request(node1, .attributes(file))
        let shown = try fixture.end(
            own, .performed(.attributes(Fixture.attributes(file, size: 9 * block)), sizeBytes: nil))
        #expect(shown.replies == [.attributes(Fixture.attributes(file, size: block))])
        let asked = fixture.request(node2, .attributes(file))
        #expect(asked.recalls == ["node1 [\(block), \(UInt64.max))"])
        let settling = fixture.answer(asked, WriteReport(grownSizeBytes: 3 * block))
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: 3 * block))])
        let stat = try fixture.end(settling, .performed(.done, sizeBytes: 3 * block))
        let attributes = Fixture.attributes(file, size: 3 * block)
        #expect(
            try fixture.end(stat, .performed(.attributes(attributes), sizeBytes: 3 * block)).replies
                == [.attributes(attributes)])
        #expect(fixture.core.files[file]?.growth == nil)
    }

    /// A size in a report is held to what was granted; without one, nothing was written.
    @Test(arguments: [
        (UInt64?(0), UInt64(1)), (nil, 1), (1 << 40, 9), (20480, 5),
    ]) func reportsAreHeldToTheGrant(_ told: UInt64?, _ blocks: UInt64) throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 1, by: 8)
        let asked = fixture.request(node2, .attributes(file))
        let settling = fixture.answer(asked, WriteReport(grownSizeBytes: told))
        #expect(
            settling.commands == [.settle(file, WriteReport(grownSizeBytes: blocks * block))])
    }

    @Test func returnEndsIt() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 0, by: 8)
        let nothing = ByteRange(start: 0, end: 0)
        let back = Operation.layoutReturn(file, nothing, WriteReport(grownSizeBytes: 2 * block))
        let settling = fixture.request(node1, back)
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: 2 * block))])
        let done = try fixture.end(settling, .performed(.done, sizeBytes: 2 * block))
        #expect(done.replies == [.done])
        #expect(fixture.core.files[file]?.sizeBytes == 2 * block)
        // Told twice, the second time is old news.
        #expect(fixture.request(node1, back).replies == [.done])
        #expect(fixture.core.taskCount == 0)
    }

    /// The network may deliver a request again long after its answer: it does not end the growth that
    /// was given out after it.
    @Test func aLateCopyOfItsReturnEndsNoOther() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 0, by: 8)
        let nothing = ByteRange(start: 0, end: 0)
        let back = Operation.layoutReturn(file, nothing, WriteReport(grownSizeBytes: 2 * block))
        let settling = fixture.request(node1, 100, slot: 0, back)
        try fixture.end(settling, .performed(.done, sizeBytes: 2 * block))
        try fixture.grow(node1, file, blocks: 2, by: 8)
        #expect(fixture.request(node1, 100, slot: 0, back).commands.isEmpty)
        #expect(fixture.core.files[file]?.growth?.session == node1)
        let again = Operation.layoutReturn(file, nothing, WriteReport(grownSizeBytes: 3 * block))
        let next = fixture.request(node1, 200, slot: 0, again)
        #expect(next.commands == [.settle(file, WriteReport(grownSizeBytes: 3 * block))])
    }

    @Test func lastCloseEndsIt() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 1, by: 8)
        let open = OpenID(1)
        let settling = fixture.request(node1, .release(file, open, WriteReport()))
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: block))])
        #expect(try fixture.end(settling, .performed(.done, sizeBytes: block)).replies == [.done])
        #expect(fixture.core.files.isEmpty)
    }

    @Test func aLayoutEndsBeforeAnothersGrowth() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 4, by: 8)
        try fixture.open(node2, file, size: 12 * block)
        let actions = fixture.request(node2, .layoutGet(file, Fixture.blocks(0..<2)))
        #expect(actions.recalls.isEmpty, "what lies before it disturbs nobody")
        guard
            case .layout(let grant)? = try fixture.end(
                actions, Fixture.mapped(0..<2, size: 12 * block)
            ).replies.first
        else { return }
        #expect(grant.range == Fixture.blocks(0..<2) && grant.end == .unknown)
        #expect(!fixture.request(node2, .layoutGet(file, .everything)).recalls.isEmpty)
    }

    @Test func contendedGrowthIsDeclined() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 1, by: 8)
        try fixture.open(node2, file, size: 9 * block)
        let asked = fixture.request(node2, .layoutGrow(file, Fixture.blocks(1..<3)))
        #expect(asked.recalls == ["node1 [\(block), \(UInt64.max))"])
        let settling = fixture.answer(asked, WriteReport(grownSizeBytes: 2 * block))
        #expect(
            try fixture.end(settling, .performed(.done, sizeBytes: 2 * block)).replies
                == [.sendData])
        // Within the file there is nothing to grow, and sizes that no file has are not tried.
        for range in [Fixture.blocks(0..<2), ByteRange(start: 0, end: .max)] {
            #expect(fixture.request(node2, .layoutGrow(file, range)).replies == [.sendData])
        }
    }

    /// What the asking node has not written yet is no data to copy, to seek or to read.
    @Test func ownGrowthIsSettledFirst() throws {
        let operations: [Operation] = [
            .copyRange(
                file, sourceOffsetBytes: 0, to: Fixture.file(2), targetOffsetBytes: 0,
                lengthBytes: 1 << 20),
            .seek(file, offsetBytes: 0, .hole),
            .read(file, ByteRange(start: 0, end: 1 << 20)),
            .write(file, offsetBytes: 0, .append),
        ]
        for operation in operations {
            let fixture = Fixture()
            try fixture.open(node1, Fixture.file(2), size: 0)
            try fixture.grow(node1, file, blocks: 1, by: 8)
            let actions = fixture.request(node1, operation, payload: 10)
            #expect(actions.recalls == ["node1 [\(block), \(UInt64.max))"], "\(operation)")
        }
    }

    @Test func sessionEndGivesItBack() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 1, by: 8)
        try fixture.open(node2, file, size: 9 * block)
        let asked = fixture.request(node2, .attributes(file))
        #expect(asked.recalls.count == 1)
        // Cut to what others last saw, and only then shown to who asked.
        let settling = fixture.send(.sessionEnded(node1))
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: block))])
        let stat = try fixture.end(settling, .performed(.done, sizeBytes: block))
        #expect(stat.commands == [.perform(.attributes(file))])
        // The cut that the end of the session asks for has been made.
        let last = try fixture.end(
            stat, .performed(.attributes(Fixture.attributes(file, size: block)), sizeBytes: block))
        #expect(last.commands.isEmpty)
        #expect(fixture.core.taskCount == 0)
    }

    /// A task that holds the file when its growth's session ends does not grant what will be cut off.
    @Test func lostGrowthIsNotGranted() throws {
        let fixture = Fixture()
        try fixture.grow(node1, file, blocks: 1, by: 8)
        try fixture.open(node2, file, size: 9 * block)
        let asked = fixture.request(node2, .layoutGet(file, Fixture.blocks(0..<9)))
        #expect(asked.recalls.count == 1)
        let settling = fixture.send(.sessionEnded(node1))
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: block))])
        let mapping = try fixture.end(settling, .performed(.done, sizeBytes: block))
        #expect(mapping.commands == [.map(file, Fixture.blocks(0..<9))])
    }

    /// The session ends while its file is being lengthened: nobody would ever give that back.
    @Test func sessionEndsWhileGrowing() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: block)
        let actions = fixture.request(node1, .layoutGrow(file, Fixture.blocks(1..<9)))
        #expect(fixture.send(.sessionEnded(node1)).isEmpty)
        let settling = try fixture.end(actions, Fixture.mapped(1..<9, size: 9 * block))
        #expect(settling.commands == [.settle(file, WriteReport(grownSizeBytes: block))])
        _ = try fixture.end(settling, .performed(.done, sizeBytes: block))
        #expect(fixture.core.files.isEmpty && fixture.core.taskCount == 0)
    }
}
