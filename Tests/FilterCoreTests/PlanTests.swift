import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

struct PlanTests {
    let block = FilterFixture.block

    @Test func readsWhatTheMapSays() {
        let fixture = FilterFixture()
        #expect(fixture.read(0, 4096).kind == "needsLayout")
        fixture.apply(
            1, [(.written, 2), (.hole, 1), (.unwritten, 1), (.shared, 1), (.opaque, 1)],
            end: .at(sizeBytes: 6 * block - 100))
        guard
            case .direct(let token, let address, let blocks, let skip, let length) = fixture.read(
                4196, 100)
        else {
            Issue.record("a read within an extent is one piece")
            return
        }
        #expect(address == 1001 * block && blocks == 4096 && skip == 100 && length == 100)
        #expect(fixture.filter.flightCount == 1)
        fixture.end(token)
        #expect(fixture.filter.flightCount == 0)
        #expect(fixture.read(2 * block, 8192).kind == "zeros")
        #expect(fixture.read(4 * block, 4096).kind == "direct")
        #expect(fixture.read(5 * block, 10).kind == "redirect")
        #expect(fixture.read(4 * block, 8192).kind == "redirect", "a part of it is opaque")
        #expect(fixture.read(6 * block - 100, 1).kind == "end")
        guard case .segments(let both, let segments, 10, let clipped) = fixture.read(10, 12_278)
        else {
            Issue.record("a read over extents is in pieces")
            return
        }
        #expect(
            segments == [
                DirectSegment(lunOffsetBytes: 1000 * block, lengthBytes: 8192),
                DirectSegment(lunOffsetBytes: nil, lengthBytes: 4096),
            ])
        #expect(clipped == 12_278)
        fixture.end(both)
    }

    @Test func asksForTheFirstMissingBlock() {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 2)])
        guard case .needsLayout(let range) = fixture.read(0, 16_384) else {
            Issue.record("two blocks are missing")
            return
        }
        #expect(range == ByteRange(start: 2 * block, end: 4 * block))
    }

    /// Only plain, written extents in whole blocks are written directly.
    @Test func writesOnlyWrittenBlocks() {
        let fixture = FilterFixture()
        fixture.apply(
            1,
            [
                (.written, 2), (.hole, 1), (.unwritten, 1), (.shared, 1), (.opaque, 1),
                (.written, 2),
            ],
            end: .at(sizeBytes: 8 * block))
        #expect(fixture.write(0, 8192).kind == "direct")
        for start: UInt64 in 2...5 {
            let kind = start < 4 ? "fills" : "redirect"
            #expect(fixture.write(start * block, 4096).kind == kind)
            #expect(fixture.write((start - 1) * block, 8192).kind == kind)
        }
        #expect(fixture.write(1, 4096).kind == "redirect")
        #expect(fixture.write(0, 4095).kind == "redirect")
        #expect(fixture.write(6 * block, 8192).kind == "direct")
        #expect(fixture.write(6 * block, 12_288).kind == "extends")
        #expect(fixture.filter.flightCount == 2)
    }

    @Test func piecesOfOneWrite() {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 1), (.written, 1)])
        guard case .segments(_, let segments) = fixture.write(0, 8192) else {
            Issue.record("two extents are two pieces")
            return
        }
        #expect(segments.map(\.lunOffsetBytes) == [1000 * block, 2000 * block])
    }

    @Test func grantsThatMakeNoSenseAreDropped() {
        let fixture = FilterFixture()
        var grant = FilterFixture.grant(1, [(.written, 2)])
        grant.range.endBytes += 4096
        var isTaken = fixture.filter.apply(grant, to: fixture.file, asGrowth: false)
        #expect(!isTaken)
        grant = FilterFixture.grant(1, [(.written, 2)])
        grant.extents[0].lunOffsetBytes += 512
        isTaken = fixture.filter.apply(grant, to: fixture.file, asGrowth: false)
        #expect(!isTaken)
        #expect(fixture.filter.extentCount == 0)
    }

    @Test func openCountsAndReuse() {
        var filter = FilterCore()
        let handle = FilterFixture.handle(1)
        let first = filter.open(handle)
        let second = filter.open(handle)
        let kept = filter.close(second)
        #expect(second == first && kept.isEmpty)
        #expect(filter.index(of: handle) == first)
        _ = filter.close(first)
        #expect(filter.index(of: handle) == nil)
        let other = filter.open(FilterFixture.handle(2))
        #expect(other == first, "a free place is used again")
        #expect(filter.handle(of: other) == FilterFixture.handle(2))
    }

    /// The control of whole-blocks: without it a part of a block is written as if it were all of it.
    @Test func partOfABlockWithoutTheRule() {
        let fixture = FilterFixture(rules: .all.subtracting(.wholeBlocks))
        fixture.apply(1, [(.written, 2)], end: .at(sizeBytes: 2 * block))
        #expect(fixture.write(0, 100).kind == "direct")
    }
}
