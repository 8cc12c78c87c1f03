import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Writes of whole blocks within a file's size run side by side, those of one piece in their order.
struct CoreOverwriteTests {
    let fixture = CoreFixture()
    let file = CoreFixture.file(1)
    let block = CoreFixture.block
    let node1 = CoreFixture.node1
    let node2 = CoreFixture.node2
    let pieceBlocks = Resource.pieceBytes / CoreFixture.block

    /// A file of four pieces, and a block.
    private func open() throws {
        for node in [node1, node2] {
            try fixture.open(node, file, size: (4 * pieceBlocks + 1) * block)
        }
    }

    private func write(
        _ node: NodeIdentity, _ block: UInt64, count: Int = 1, _ flags: WriteFlags = []
    ) -> [CoordinatorAction] {
        let operation = Operation.write(file, offsetBytes: block * self.block, flags)
        return fixture.request(node, operation, payload: count * Int(self.block))
    }

    private let written = CommandResult.performed(
        .written(offsetBytes: 0, lengthBytes: 4096, sizeBytes: 0), sizeBytes: nil)

    private func truncation(toBlocks count: UInt64) -> Operation {
        var change = AttributeChange()
        change.sizeBytes = count * block
        return .setAttributes(file, change)
    }

    @Test func differentPiecesRunSideBySide() throws {
        try open()
        for piece in 0..<4 {
            #expect(write(node1, UInt64(piece) * pieceBlocks).commands.count == 1)
        }
        // And whoever reads.
        #expect(
            fixture.request(node2, .read(file, ByteRange(offset: 0, length: block)))
                .commands.count == 1)
    }

    @Test func onePieceIsWrittenInOrder() throws {
        try open()
        let first = write(node1, 0)
        #expect(first.commands.count == 1)
        #expect(write(node2, 0).isEmpty)
        // Over the end of the first piece and the start of the second.
        #expect(write(node2, pieceBlocks - 1, count: 2).isEmpty)
        #expect(write(node1, pieceBlocks).isEmpty)
        let next = try fixture.end(first, written)
        #expect(next.commands == [.perform(.write(file, offsetBytes: 0, []))])
        let last = try fixture.end(next, written)
        let across = Operation.write(file, offsetBytes: (pieceBlocks - 1) * block, [])
        #expect(last.commands == [.perform(across)])
        #expect(try fixture.end(last, written).commands.count == 1)
    }

    /// What changes the size or goes through the page cache has the file alone.
    @Test func othersWaitForIt() throws {
        try open()
        let end = 4 * pieceBlocks
        let alone: [Operation] = [
            .write(file, offsetBytes: 7, []), .write(file, offsetBytes: (end + 1) * block, []),
            .write(file, offsetBytes: end * block, .append),
            .write(file, offsetBytes: end * block, .clearsSetID), truncation(toBlocks: 1),
            .layoutGet(file, .everything), .synchronize(file),
        ]
        for operation in alone {
            let under = write(node1, 0)
            #expect(under.commands.count == 1)
            let waits = fixture.request(node2, operation, payload: Int(block))
            #expect(waits.commands.isEmpty, "\(operation)")
            // Nor does what came later overtake it.
            #expect(write(node1, 2 * pieceBlocks).isEmpty)
            let next = try fixture.end(under, written)
            #expect(next.commands.count == 1, "\(operation)")
            let last = try fixture.end(next, .failed(.noSpace))
            var actions = last
            while !actions.commands.isEmpty {
                if case .stat? = actions.commands.first {
                    let size = (end + 1) * block
                    actions = try fixture.end(
                        actions, .attributes(CoreFixture.attributes(file, size: size)))
                } else {
                    actions = try fixture.end(actions, written)
                }
            }
        }
    }

    /// One that was within the size when it came, and is not when its turn has come.
    @Test func aFileThatHasBecomeShorter() throws {
        try open()
        let cut = fixture.request(node2, truncation(toBlocks: 1))
        #expect(cut.commands.count == 1)
        #expect(write(node1, pieceBlocks).isEmpty && write(node1, 2 * pieceBlocks).isEmpty)
        let shown = CoreFixture.attributes(file, size: block)
        let shortened = try fixture.end(cut, .performed(.attributes(shown), sizeBytes: block))
        // One has the file alone now, and the other waits for it; whoever cut the file has been shown
        // its attributes, and gives them back.
        let next = fixture.answer(shortened)
        #expect(shortened.commands.isEmpty && next.commands.count == 1)
        let size = (pieceBlocks + 1) * block
        let result = CommandResult.performed(
            .written(offsetBytes: 0, lengthBytes: 4096, sizeBytes: size), sizeBytes: size)
        #expect(try fixture.end(next, result).commands.count == 1)
    }

    /// A node that has the blocks mapped as a hole is asked for them first: by a task that has the file
    /// alone.
    @Test func whatIsMappedElsewhereIsRecalled() throws {
        try fixture.map(node1, file, blocks: 4)
        try fixture.open(node2, file, size: 4 * block)
        let actions = write(node2, 1)
        #expect(actions.recalls == ["node1 [\(block), \(2 * block))"])
        #expect(write(node2, 3).isEmpty)
        let next = fixture.answer(actions)
        #expect(next.commands == [.perform(.write(file, offsetBytes: block, []))])
    }
}
