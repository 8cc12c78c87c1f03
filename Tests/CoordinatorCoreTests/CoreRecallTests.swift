import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Claims, recalls and grants (rules recall-before-remap, whole-blocks, order-of-grant-and-recall).
struct CoreRecallTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let node3 = CoreFixture.node3

    private func truncation(to size: UInt64) -> Operation {
        var change = AttributeChange()
        change.sizeBytes = size
        return .setAttributes(file, change)
    }

    @Test func truncateWaitsForEverybody() throws {
        let fixture = Fixture()
        let first = try fixture.map(node1, file, blocks: 8)
        let second = try fixture.map(node2, file, blocks: 8)
        #expect(first.end == .at(sizeBytes: 8 * block))
        #expect(second.generation > first.generation)
        let actions = fixture.request(node2, truncation(to: 3 * block + 5))
        let tail = "[\(3 * block), \(UInt64.max))"
        #expect(actions.recalls == ["node1 \(tail)", "node2 \(tail)"])
        #expect(actions.commands.isEmpty)
        guard case .recall(let id, _, _, _, let generation) = actions[0] else { return }
        #expect(generation > second.generation)
        #expect(fixture.send(.answered(id, WriteReport(ageNanoseconds: 7))).isEmpty)
        // Requests for the file wait meanwhile, others do not.
        #expect(fixture.request(node3, .attributes(file)).isEmpty)
        #expect(fixture.request(node3, .attributes(Fixture.file(2))).commands.count == 1)
        let settling = fixture.answer([actions[1]])
        #expect(settling.commands == [.settle(file, WriteReport(ageNanoseconds: 7))])
        let performing = try fixture.end(settling, .performed(.done, sizeBytes: 8 * block))
        #expect(performing.commands == [.perform(truncation(to: 3 * block + 5))])
        let shown = Fixture.attributes(file, size: 3 * block + 5)
        let done = try fixture.end(
            performing, .performed(.attributes(shown), sizeBytes: 3 * block + 5))
        #expect(done.replies == [.attributes(shown)])
        #expect(done.collections == ["node1", "node2"], "the one that waited goes on")
        #expect(fixture.core.files[file]?.layouts.count == 2, "below the cut they keep theirs")
    }

    @Test(arguments: [true, false]) func partOfABlock(rulesHold: Bool) throws {
        let fixture = Fixture(rules: rulesHold ? .all : .all.subtracting(.wholeBlocks))
        try fixture.map(node1, file, blocks: 4)
        let actions = fixture.request(
            node2, .write(file, offsetBytes: block + 10, []), payload: 100)
        #expect(actions.recalls == (rulesHold ? ["node1 [\(block), \(2 * block))"] : []))
        #expect(actions.commands.count == (rulesHold ? 0 : 1))
    }

    @Test func nothingIsRecalledWithoutTheRule() throws {
        let fixture = Fixture(rules: .all.subtracting(.recallBeforeRemap))
        try fixture.map(node1, file, blocks: 4)
        let actions = fixture.request(node2, truncation(to: 0))
        #expect(actions.recalls.isEmpty && actions.collections == ["node1"])
        #expect(fixture.answer(actions).commands == [.perform(truncation(to: 0))])
    }

    /// fallocate's modes against the blocks that they touch.
    @Test(arguments: [
        (UInt32(3), 1...2), (UInt32(0x11), 1...2), (UInt32(0), 1...2), (UInt32(0x10), 1...2),
    ]) func allocate(_ mode: UInt32, _ recalled: ClosedRange<UInt64>) throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 8)
        let range = ByteRange(start: block + 1, end: 3 * block - 1)
        let actions = fixture.request(node2, .allocate(file, mode: mode, range))
        let end = (recalled.upperBound + 1) * block
        #expect(actions.recalls == ["node1 [\(recalled.lowerBound * block), \(end))"])
    }

    @Test(arguments: [UInt32(0x08), 0x20]) func shiftingRecallsTheRest(_ mode: UInt32) throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 8)
        let actions = fixture.request(
            node2, .allocate(file, mode: mode, Fixture.blocks(2..<3)))
        #expect(actions.recalls == ["node1 [\(2 * block), \(UInt64.max))"])
    }

    @Test func attributesCollectWithoutRecalling() throws {
        let fixture = Fixture()
        try fixture.map(node1, file, blocks: 4)
        let actions = fixture.request(node2, .attributes(file))
        #expect(actions.collections == ["node1"] && actions.recalls.isEmpty)
        // A collection tells no size.
        let settling = fixture.answer(
            actions, WriteReport(ageNanoseconds: 5, grownSizeBytes: 1 << 40))
        #expect(settling.commands == [.settle(file, WriteReport(ageNanoseconds: 5))])
        let stat = try fixture.end(settling, .performed(.done, sizeBytes: 4 * block))
        #expect(stat.commands == [.perform(.attributes(file))])
        #expect(fixture.request(node1, .layoutGet(file, .everything)).isEmpty)
    }

    @Test func noLayoutWithoutAnOpen() throws {
        let fixture = Fixture()
        for operation in [Operation.layoutGet(file, .everything), .layoutGrow(file, .everything)] {
            #expect(
                fixture.request(node1, operation).replies == [.failed(.badDescriptor)])
        }
        #expect(fixture.core.files.isEmpty && fixture.core.taskCount == 0)
    }

    @Test func piecesKnowNoEnd() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: 100 * block)
        var actions = fixture.request(node1, .layoutGet(file, .everything))
        actions = try fixture.end(actions, Fixture.mapped(0..<10, size: 100 * block))
        guard case .layout(let grant)? = actions.replies.first else { return }
        #expect(grant.range == Fixture.blocks(0..<10) && grant.end == .unknown)
        // A truncate beyond the piece needs nothing of it.
        #expect(fixture.request(node2, truncation(to: 20 * block)).recalls.isEmpty)
    }

    /// Only a range that came clean is granted: the shell answers an empty one else.
    @Test func emptyGrant() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: 4 * block)
        var actions = fixture.request(node1, .layoutGet(file, .everything))
        let nothing = ByteRange(start: 0, end: 0)
        actions = try fixture.end(
            actions, .mapped(range: nothing, extents: [], sizeBytes: 4 * block))
        guard case .layout(let grant)? = actions.replies.first else { return }
        #expect(grant.range.isEmpty && grant.extents.isEmpty && grant.end == .unknown)
        #expect(fixture.request(node2, truncation(to: 0)).recalls.isEmpty)
    }

    @Test func unwrittenStaysUnwritten() throws {
        for rules in [SafetyRules.all, .all.subtracting(.writtenBeforeGrant)] {
            let fixture = Fixture(rules: rules)
            try fixture.open(node1, file, size: block)
            let extent = Extent(
                fileOffsetBytes: 0, lunOffsetBytes: 4096, lengthBytes: block, state: .unwritten)
            let actions = try fixture.end(
                fixture.request(node1, .layoutGet(file, .everything)),
                .mapped(range: Fixture.blocks(0..<1), extents: [extent], sizeBytes: block))
            guard case .layout(let grant)? = actions.replies.first else { return }
            #expect(grant.extents[0].state == (rules == .all ? .unwritten : .written))
        }
    }

    /// What failed may have done a part: the size is asked for again.
    @Test func failureForgetsTheSize() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: block)
        let grow = Operation.allocate(file, mode: 0, Fixture.blocks(0..<100))
        let actions = try fixture.end(fixture.request(node1, grow), .failed(.noSpace))
        #expect(actions.replies == [.failed(.noSpace)])
        #expect(fixture.core.files[file]?.sizeBytes == nil)
        let next = fixture.request(node1, truncation(to: 0))
        #expect(next.commands == [.stat(file)])
        #expect(try fixture.end(next, .failed(.stale)).replies == [.failed(.stale)])
        #expect(fixture.core.taskCount == 0)
    }
}
