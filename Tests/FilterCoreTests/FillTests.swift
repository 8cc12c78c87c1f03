import Testing
import VolumeModel
import VolumeProtocol

@testable import FilterCore

/// Holes that are filled before they are written, and how much of them.
struct FillTests {
    let block = FilterFixture.block

    private func fixture(blocks: UInt64) -> FilterFixture {
        let fixture = FilterFixture()
        fixture.apply(1, [(.hole, blocks)], end: .at(sizeBytes: blocks * block))
        return fixture
    }

    /// Asks for what a write of these blocks needs, and gets it.
    private func fill(_ fixture: FilterFixture, _ generation: UInt64, for blocks: Range<UInt64>) {
        let wanted = FilterFixture.blocks(blocks)
        let range = fixture.filter.fillRange(fixture.file, for: wanted)
        fixture.filter.beginFill(fixture.file, range)
        let isTaken = take(fixture, generation, range, for: wanted)
        #expect(isTaken)
    }

    private func take(
        _ fixture: FilterFixture, _ generation: UInt64, _ range: ByteRange, for blocks: ByteRange
    ) -> Bool {
        let extent = Extent(
            fileOffsetBytes: range.startBytes, lunOffsetBytes: (1 << 30) + range.startBytes,
            lengthBytes: range.lengthBytes, state: .written)
        let grant = LayoutGrant(
            generation: LayoutGeneration(generation), range: range, extents: [extent],
            end: .unknown)
        return fixture.filter.applyFill(grant, to: fixture.file, for: blocks)
    }

    @Test func writersInOrderAreFilledAheadOf() {
        let fixture = fixture(blocks: 1 << 20)
        #expect(fixture.write(0, 65_536).kind == "fills")
        fill(fixture, 2, for: 0..<16)
        #expect(fixture.filter.fillAhead(fixture.file) == nil, "one write is no order")
        var lengths: [UInt64] = []
        var next: UInt64 = 16
        for generation: UInt64 in 3...14 {
            let wanted = FilterFixture.blocks(next..<next + 16)
            let range = fixture.filter.fillRange(fixture.file, for: wanted)
            #expect(range.startBytes == next * block)
            lengths.append(range.lengthBytes)
            fill(fixture, generation, for: next..<next + 16)
            next = range.endBytes / block
        }
        #expect(lengths.prefix(3) == [128 << 10, 256 << 10, 512 << 10])
        #expect(lengths.last == FillLimits.aheadMaximumBytes)
    }

    /// Where nothing was zeroed, as room is short, the write goes to the coordinator, and the next piece is
    /// half as large.
    @Test func refusalMakesPiecesSmaller() {
        let fixture = fixture(blocks: 1 << 20)
        for number in 0..<UInt64(16) {
            fill(fixture, 2 + number, for: 2048 * number..<2048 * number + 1)
        }
        let wanted = FilterFixture.blocks(100_000..<100_001)
        let range = fixture.filter.fillRange(fixture.file, for: wanted)
        #expect(range.lengthBytes == 16 * FillLimits.pieceMinimumBytes)
        fixture.filter.beginFill(fixture.file, range)
        let hole = Extent(
            fileOffsetBytes: range.startBytes, lunOffsetBytes: 0, lengthBytes: range.lengthBytes,
            state: .hole)
        let isTaken = fixture.filter.applyFill(
            LayoutGrant(
                generation: LayoutGeneration(99), range: range, extents: [hole], end: .unknown),
            to: fixture.file, for: wanted)
        #expect(!isTaken)
        let next = fixture.filter.fillRange(fixture.file, for: wanted)
        #expect(next.lengthBytes == 8 * FillLimits.pieceMinimumBytes)
    }

    /// Half of the last fill is used: the next one is asked for, once.
    @Test func nextIsAskedForInTime() {
        let fixture = fixture(blocks: 1 << 20)
        fill(fixture, 2, for: 0..<16)
        fill(fixture, 3, for: 16..<32)
        let last = FilterFixture.blocks(16..<48)
        fixture.end(fixture.write(last.startBytes, 4096).token!)
        #expect(fixture.filter.fillAhead(fixture.file) == nil)
        fixture.end(fixture.write(32 * block, 4096).token!)
        let ahead = fixture.filter.fillAhead(fixture.file)
        #expect(ahead == ByteRange(offset: last.endBytes, length: 2 * last.lengthBytes))
        #expect(fixture.filter.fillAhead(fixture.file) == nil)
    }

    /// Somewhere: an aligned piece around the write, larger after many.
    @Test func piecesGrow() {
        let fixture = fixture(blocks: 1 << 20)
        let far = { (number: UInt64) in (1000 - number) * 1024 + 7 }
        let least = FillLimits.pieceMinimumBytes
        let first = fixture.filter.fillRange(
            fixture.file, for: FilterFixture.blocks(far(0)..<far(0) + 1))
        #expect(first.lengthBytes == least && first.startBytes % least == 0)
        for number: UInt64 in 0..<40 {
            fill(fixture, 2 + number, for: far(number)..<far(number) + 1)
        }
        let later = fixture.filter.fillRange(
            fixture.file, for: FilterFixture.blocks(far(50)..<far(50) + 1))
        #expect(later.lengthBytes == FillLimits.pieceMaximumBytes)
    }

    /// The coordinator takes no range beyond what a file can be; and nothing is filled beyond its size.
    @Test func fillsEndWithTheFile() {
        let fixture = fixture(blocks: 20)
        let wanted = FilterFixture.blocks(17..<18)
        let known = fixture.filter.fillRange(fixture.file, for: wanted)
        #expect(known == FilterFixture.blocks(16..<20))
        let unknown = FilterFixture()
        let last = UInt64(Int64.max) & ~(block - 1)
        let far = unknown.filter.fillRange(
            unknown.file, for: ByteRange(start: last - block, end: last))
        #expect(far.endBytes == last && far.startBytes < last)
    }

    /// What is being filled is unknown until the answer: another node may write there by then, and the
    /// answer may never come.
    @Test func pendingFillsAreUnknown() {
        let fixture = fixture(blocks: 64)
        let range = FilterFixture.blocks(0..<16)
        fixture.filter.beginFill(fixture.file, range)
        #expect(fixture.read(0, 4096).kind == "needsLayout")
        // An answer of before, which shows the hole.
        fixture.apply(2, [(.hole, 64)], end: .at(sizeBytes: 64 * block))
        #expect(fixture.read(0, 4096).kind == "needsLayout")
        #expect(fixture.read(16 * block, 4096).kind == "zeros")
        fixture.filter.fillFailed(fixture.file)
        fixture.apply(3, [(.hole, 64)], end: .at(sizeBytes: 64 * block))
        #expect(fixture.read(0, 4096).kind == "zeros")
    }

    /// Nothing else could tell a write there anything: it waits, and does not ask for a map in vain.
    @Test func writesWaitForAPendingFill() {
        let fixture = fixture(blocks: 64)
        let range = FilterFixture.blocks(0..<16)
        fixture.filter.beginFill(fixture.file, range)
        #expect(fixture.write(0, 4096).kind == "fills")
        #expect(fixture.write(12 * block, 65_536).kind == "fills", "the first part of it")
        #expect(fixture.filter.mayNeedFill(fixture.file, range))
        let isTaken = take(fixture, 2, range, for: FilterFixture.blocks(0..<1))
        #expect(isTaken)
        #expect(fixture.write(0, 4096).kind == "direct")
        #expect(!fixture.filter.mayNeedFill(fixture.file, range))
        #expect(fixture.filter.mayNeedFill(fixture.file, FilterFixture.blocks(8..<17)))
    }

    /// A fill that failed leaves nothing to wait for.
    @Test func writesAskAfterAFailedFill() {
        let fixture = fixture(blocks: 64)
        fixture.filter.beginFill(fixture.file, FilterFixture.blocks(0..<16))
        fixture.filter.fillFailed(fixture.file)
        #expect(fixture.write(0, 4096).kind == "needsLayout")
    }

    @Test func closeTellsWhatWasNotUsed() {
        let fixture = fixture(blocks: 64)
        fill(fixture, 2, for: 0..<16)
        fixture.end(fixture.write(2 * block, 8192).token!)
        let report = fixture.filter.close(fixture.file)
        let unused = UnusedFill(
            range: FilterFixture.blocks(4..<16), generation: LayoutGeneration(2))
        #expect(report.unusedFill == unused)
    }

    @Test(arguments: [true, false]) func closeTellsNothingElse(isRecalled: Bool) {
        let fixture = fixture(blocks: 64)
        fill(fixture, 2, for: 0..<16)
        if isRecalled {
            let recall = fixture.filter.recall(
                fixture.handle, FilterFixture.blocks(15..<16), LayoutGeneration(3),
                ticket: RecallTicket(number: 9), nowNanoseconds: 1)
            #expect(recall != nil)
        } else {
            fixture.filter.leaveCoordinator()
        }
        #expect(fixture.filter.close(fixture.file).unusedFill == nil)
    }

    /// A reader past the middle of one piece of a map has the next one fetched, once.
    @Test func mapsAreFetchedAhead() {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 8)])
        #expect(fixture.filter.mapAhead(fixture.file, offsetBytes: 3 * block) == nil)
        let ahead = fixture.filter.mapAhead(fixture.file, offsetBytes: 4 * block)
        #expect(ahead == FilterFixture.blocks(8..<9))
        #expect(fixture.filter.mapAhead(fixture.file, offsetBytes: 5 * block) == nil)
        fixture.apply(2, [(.written, 8)], from: 8, end: .at(sizeBytes: 16 * block))
        #expect(fixture.filter.mapAhead(fixture.file, offsetBytes: 15 * block) == nil)
    }
}
