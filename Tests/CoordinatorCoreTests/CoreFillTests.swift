import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Holes filled for a node, and what of them is given back.
struct CoreFillTests {
    typealias Fixture = CoreFixture
    let file = CoreFixture.file(1)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2

    /// Zeroes blocks for a node that has the file of 64 blocks open.
    @discardableResult
    private func fill(
        _ fixture: Fixture, _ node: NodeIdentity, _ blocks: Range<UInt64>, isZeroed: Bool = true
    ) throws -> LayoutGrant {
        let range = Fixture.blocks(blocks)
        var actions = fixture.request(node, .layoutFill(file, range))
        while !actions.recalls.isEmpty { actions = fixture.answer(actions, WriteReport()) }
        guard case .fill(file, range, _)? = actions.commands.first, actions.commands.count == 1
        else { throw FixtureError(description: "no fill: \(actions.commands)") }
        let size = 64 * block
        guard
            case .mapped(_, let extents, _) = Fixture.mapped(blocks, size: size)
        else { throw FixtureError(description: "no map") }
        let replies = try fixture.end(
            actions,
            .filled(
                range: range, extents: extents, sizeBytes: size, zeroed: isZeroed ? [range] : [])
        ).replies
        guard case .layout(let grant)? = replies.first else {
            throw FixtureError(description: "no layout: \(replies)")
        }
        return grant
    }

    private func close(
        _ fixture: Fixture, _ node: NodeIdentity, _ open: OpenID, unused: Range<UInt64>,
        _ generation: LayoutGeneration
    ) -> [CoordinatorAction] {
        let report = WriteReport(
            unusedFill: UnusedFill(range: Fixture.blocks(unused), generation: generation))
        return fixture.request(node, .release(file, open, report))
    }

    private func isGivenBack(_ actions: [CoordinatorAction]) -> Bool {
        actions.commands.contains { command in
            if case .settle(_, let report) = command { report.unusedFill != nil } else { false }
        }
    }

    @Test func othersGiveTheirLayoutsBackFirst() throws {
        let fixture = Fixture()
        try fixture.map(node2, file, blocks: 64)
        try fixture.open(node1, file, size: 64 * block)
        let asked = fixture.request(node1, .layoutFill(file, Fixture.blocks(4..<8)))
        #expect(asked.recalls == ["node2 [\(4 * block), \(8 * block))"])
        let filling = fixture.answer(asked, WriteReport())
        #expect(filling.commands == [.fill(file, Fixture.blocks(4..<8), follows: false)])
    }

    @Test func onlyWholeBlocksWithinTheSizeAreFilled() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: 4 * block + 100)
        let sized = fixture.request(node1, .layoutFill(file, Fixture.blocks(2..<9)))
        #expect(sized.commands == [.fill(file, Fixture.blocks(2..<4), follows: false)])
        try fixture.open(node2, Fixture.file(2), size: 100)
        let none = fixture.request(node2, .layoutFill(Fixture.file(2), Fixture.blocks(0..<1)))
        #expect(none.replies == [.sendData])
    }

    /// A fill that goes on where this node's last one ended may take more of the room.
    @Test func whatFollowsIsTold() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: 64 * block)
        try fixture.open(node2, file, size: 64 * block)
        try fill(fixture, node1, 8..<16)
        // Another's, and one somewhere else.
        for (node, start) in [(node2, UInt64(16)), (node1, 20)] {
            let range = Fixture.blocks(start..<24)
            let asked = fixture.request(node, .layoutFill(file, range))
            #expect(asked.commands == [.fill(file, range, follows: false)])
            _ = try fixture.end(asked, .failed(.noSpace))
        }
        let next = fixture.request(node1, .layoutFill(file, Fixture.blocks(16..<32)))
        #expect(next.commands == [.fill(file, Fixture.blocks(16..<32), follows: true)])
    }

    /// A writer with several writes under way asks for maps as well, of what was filled too.
    @Test func whatFollowsIsToldAfterALayoutOfIt() throws {
        let fixture = Fixture()
        try fixture.open(node1, file, size: 64 * block)
        try fill(fixture, node1, 8..<16)
        let asked = fixture.request(node1, .layoutGet(file, Fixture.blocks(8..<64)))
        _ = try fixture.end(asked, Fixture.mapped(8..<64, size: 64 * block))
        let next = fixture.request(node1, .layoutFill(file, Fixture.blocks(16..<32)))
        #expect(next.commands == [.fill(file, Fixture.blocks(16..<32), follows: true)])
    }

    /// A fill for which there was no room leaves what is known of the one before as it was.
    @Test func unusedIsTakenOutAfterARefusal() throws {
        let fixture = Fixture()
        let open = try fixture.open(node1, file, size: 64 * block)
        let grant = try fill(fixture, node1, 8..<16)
        try fill(fixture, node1, 16..<32, isZeroed: false)
        #expect(isGivenBack(close(fixture, node1, open, unused: 12..<16, grant.generation)))
    }

    @Test func unusedIsTakenOut() throws {
        let fixture = Fixture()
        let open = try fixture.open(node1, file, size: 64 * block)
        let grant = try fill(fixture, node1, 8..<16)
        let actions = close(fixture, node1, open, unused: 12..<16, grant.generation)
        #expect(isGivenBack(actions))
    }

    enum Obstacle: CaseIterable {
        case otherLayout, ownLayout, write, truncation, olderGeneration, otherRange, stillOpen
    }

    /// Whatever might have come near since keeps it.
    @Test(arguments: Obstacle.allCases) func itStaysWhereSomethingCameNear(_ obstacle: Obstacle)
        throws
    {
        let fixture = Fixture()
        let open = try fixture.open(node1, file, size: 64 * block)
        var generation = try fill(fixture, node1, 8..<16).generation
        var unused: Range<UInt64> = 12..<16
        switch obstacle {
        case .otherLayout, .ownLayout:
            let node = obstacle == .ownLayout ? node1 : node2
            if node == node2 { try fixture.open(node2, file, size: 64 * block) }
            let asked = fixture.request(node, .layoutGet(file, Fixture.blocks(14..<15)))
            _ = try fixture.end(asked, Fixture.mapped(14..<15, size: 64 * block))
        case .write:
            let asked = fixture.request(node1, .write(file, offsetBytes: 0, []))
            let done = fixture.answer(asked, WriteReport())
            _ = try fixture.end(
                done.commands.isEmpty ? asked : done,
                .performed(
                    .written(offsetBytes: 0, lengthBytes: 1, sizeBytes: 64 * block),
                    sizeBytes: 64 * block))
        case .truncation:
            var change = AttributeChange()
            change.sizeBytes = 32 * block
            var asked = fixture.request(node1, .setAttributes(file, change))
            if !asked.recalls.isEmpty { asked = fixture.answer(asked, WriteReport()) }
            _ = try fixture.end(
                asked,
                .performed(
                    .attributes(Fixture.attributes(file, size: 32 * block)),
                    sizeBytes: 32 * block))
        case .olderGeneration:
            generation = LayoutGeneration(generation.number - 1)
        case .otherRange:
            unused = 12..<17
        case .stillOpen:
            try fixture.open(node1, file, size: 64 * block)
        }
        #expect(!isGivenBack(close(fixture, node1, open, unused: unused, generation)))
    }

    /// A second copy of a close comes when the file was opened, filled and closed again.
    @Test func lateCopyOfACloseIsOldNews() throws {
        let fixture = Fixture()
        try fixture.open(node2, file, size: 64 * block)
        let first = try fixture.open(node1, file, size: 64 * block)
        let grant = try fill(fixture, node1, 8..<16)
        let settling = close(fixture, node1, first, unused: 8..<16, grant.generation)
        #expect(isGivenBack(settling))
        _ = try fixture.end(settling, .performed(.done, sizeBytes: 64 * block))
        let second = try fixture.open(node1, file, size: 64 * block)
        try fill(fixture, node1, 8..<16)
        #expect(fixture.request(node1, .release(file, second, WriteReport())).replies == [.done])
        #expect(!isGivenBack(close(fixture, node1, first, unused: 8..<16, grant.generation)))
    }
}
