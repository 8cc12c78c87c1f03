import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

struct RecallTests {
    let block = FilterFixture.block

    /// A return means: no new direct I/O, and all that was in flight has ended.
    @Test func waitsForFlights() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        let write = try #require(fixture.write(0, 8192).token)
        let read = try #require(fixture.read(4096, 100).token)
        let far = try #require(fixture.read(2 * block, 4096).token)
        #expect(fixture.recall(ByteRange(start: block, end: 2 * block), 2) == nil)
        #expect(fixture.write(block, 4096).kind == "needsLayout", "nothing new starts")
        #expect(fixture.write(0, 4096).kind == "direct", "beside it, it does")
        #expect(fixture.end(write).isEmpty)
        let ended = fixture.end(read)
        #expect(ended.count == 1)
        #expect(ended[0].report.ageNanoseconds == 0)
        fixture.end(far)
    }

    @Test func answersAtOnceWhereNothingFlies() {
        let fixture = FilterFixture()
        #expect(fixture.recall(.everything, 1) != nil)
        let unknown = fixture.filter.recall(
            FilterFixture.handle(9), .everything, LayoutGeneration(1),
            ticket: RecallTicket(number: 77), nowNanoseconds: 0)
        #expect(unknown?.ticket.number == 77 && unknown?.report.isEmpty == true)
    }

    /// A growth that came first has been filled and given back: an older map knows nothing of that.
    @Test(arguments: [true, false]) func aGrantOlderThanAnother(rulesHold: Bool) throws {
        let fixture = FilterFixture(
            rules: rulesHold ? .all : .all.subtracting(.orderOfGrantAndRecall))
        let block = Limits.blockSizeBytes
        fixture.grow(2, visible: 0, blocks: 8)
        fixture.end(try #require(fixture.write(0, Int(block)).token))
        _ = try #require(fixture.returnGrowth())
        fixture.filter.growthReturned(fixture.file)
        #expect(fixture.apply(1, [(.hole, 1)]) == !rulesHold)
        #expect(fixture.apply(3, [(.written, 1)]))
    }

    @Test(arguments: [true, false]) func lateGrants(rulesHold: Bool) {
        let fixture = FilterFixture(
            rules: rulesHold ? .all : .all.subtracting(.orderOfGrantAndRecall))
        #expect(fixture.recall(ByteRange(start: 0, end: block), 5) != nil)
        #expect(fixture.apply(4, [(.hole, 1)]) == !rulesHold)
        #expect(fixture.apply(6, [(.hole, 1)]))
    }

    @Test func theKnownEndGoesWithItsBlock() {
        let fixture = FilterFixture()
        let size = 2 * block - 5
        fixture.apply(1, [(.written, 2)], end: .at(sizeBytes: size))
        #expect(fixture.read(2 * block, 10).kind == "end")
        _ = fixture.recall(ByteRange(start: 0, end: block), 2)
        #expect(fixture.read(2 * block, 10).kind == "end")
        _ = fixture.recall(ByteRange(start: block, end: .max), 3)
        #expect(fixture.read(2 * block, 10).kind == "needsLayout")
    }

    @Test func writesAreReportedOnce() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        #expect(!fixture.filter.hasUnreportedWrites(fixture.handle))
        fixture.end(try #require(fixture.write(0, 4096).token))
        fixture.end(try #require(fixture.write(4096, 4096).token), succeeded: false)
        #expect(fixture.filter.hasUnreportedWrites(fixture.handle))
        let report = fixture.filter.collectWrites(fixture.handle, nowNanoseconds: 1900)
        #expect(report == WriteReport(ageNanoseconds: 1000))
        let again = fixture.filter.collectWrites(fixture.handle, nowNanoseconds: 2000)
        #expect(again.isEmpty)
        fixture.end(try #require(fixture.write(0, 4096).token))
        let last = fixture.filter.close(fixture.file)
        #expect(last.ageNanoseconds == 0)
    }
}
