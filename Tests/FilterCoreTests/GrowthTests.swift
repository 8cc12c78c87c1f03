import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

struct GrowthTests {
    let block = FilterFixture.block

    @Test func sizeFollowsWhatWasWritten() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        #expect(fixture.filter.holdsGrowth(fixture.file))
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 0)
        #expect(fixture.read(0, 10).kind == "end")
        fixture.end(try #require(fixture.write(0, 8192).token))
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8192)
        fixture.end(try #require(fixture.write(2 * block, 100).token))
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8292)
        fixture.end(try #require(fixture.write(4 * block, 4096).token), succeeded: false)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8292, "what failed is not there")
        #expect(fixture.write(6 * block, 3 * 4096).kind == "extends")
        // More of it later keeps what was reached.
        fixture.grow(2, visible: 0, blocks: 16)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8292)
        let ended = try #require(fixture.recall(.everything, 3))
        #expect(ended.report.grownSizeBytes == 8292)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == nil)
    }

    /// For the coordinator the growth has taken the place of the layout that knew the end.
    @Test func aGrowthThatCameTooLateTakesTheOldEndAlong() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)], end: .at(sizeBytes: 4 * block))
        #expect(fixture.read(4 * block, 10).kind == "end")
        // The recall of another range overtakes the growth.
        _ = try #require(fixture.recall(FilterFixture.blocks(0..<1), 3))
        #expect(!fixture.grow(2, visible: 4 * block, blocks: 8))
        #expect(fixture.read(4 * block, 10).kind == "needsLayout")
        #expect(fixture.read(2 * block, 4096).kind == "direct")
    }

    @Test func recallBelowTheEndKeepsIt() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 4 * block, blocks: 8)
        let ended = try #require(fixture.recall(ByteRange(start: 0, end: 4 * block), 2))
        #expect(ended.report.grownSizeBytes == nil)
        #expect(fixture.filter.holdsGrowth(fixture.file))
    }

    /// The coordinator cuts the file to the size reached, so a recall of any part is one of all of it.
    @Test func recallOfAPartIsOneOfAll() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 16)
        let token = try #require(fixture.write(0, 4096).token)
        #expect(fixture.recall(FilterFixture.blocks(8..<10), 2) == nil, "a write is in flight")
        #expect(fixture.end(token).map(\.report.grownSizeBytes) == [4096])
        #expect(fixture.write(4 * block, 4096).kind == "needsLayout")
        #expect(fixture.write(12 * block, 4096).kind == "needsLayout")
    }

    @Test func closingTakesItAlong() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        fixture.end(try #require(fixture.write(0, 4096).token))
        let report = fixture.filter.close(fixture.file)
        #expect(report == WriteReport(ageNanoseconds: 0, grownSizeBytes: 4096))
    }

    /// A write that ends within a block fills the block with zeros, which must not meet another's
    /// bytes.
    @Test func tailsDoNotMeet() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let whole = try #require(fixture.write(0, 4 * 4096).token)
        #expect(
            fixture.write(block, 100).kind == "redirect", "its zeros would meet the first's bytes")
        let tail = try #require(fixture.write(4 * block, 100).token)
        #expect(fixture.write(3 * block, 8192).kind == "redirect", "the other way round")
        #expect(fixture.write(5 * block, 4096).kind == "direct")
        fixture.end(tail)
        #expect(fixture.write(4 * block, 8192).kind == "direct")
        fixture.end(whole)
        // An odd end short of what was reached would cut it.
        #expect(fixture.write(0, 100).kind == "redirect")
    }

    @Test func voluntaryReturnWaitsAndShowsItsSize() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let token = try #require(fixture.write(0, 8192).token)
        #expect(fixture.returnGrowth() == nil)
        #expect(fixture.write(2 * block, 4096).kind == "redirect", "it is closing")
        #expect(fixture.write(2 * block, 20 * 4096).kind == "redirect", "also for more of it")
        #expect(fixture.filter.growthRequest(fixture.file) == nil)
        let ended = fixture.end(token)
        #expect(ended.map(\.report.grownSizeBytes) == [8192])
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8192)
        #expect(fixture.filter.growthRequest(fixture.file) == nil, "not confirmed yet")
        // A second one, meanwhile, waits for the same confirmation.
        #expect(try #require(fixture.returnGrowth()).report.grownSizeBytes == 8192)
        fixture.filter.growthReturned(fixture.file)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 8192)
        #expect(fixture.filter.growthRequest(fixture.file) == nil)
        fixture.filter.growthReturned(fixture.file)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == nil)
        #expect(fixture.filter.growthRequest(fixture.file) != nil)
        #expect(try #require(fixture.returnGrowth()).report.isEmpty)
    }

    /// Growth that was asked for before this node gave its growth back may have been ended by that.
    @Test func grantThatCrossedAReturnIsDropped() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 2)
        fixture.end(try #require(fixture.write(0, 8192).token))
        let request = try #require(fixture.filter.growthRequest(fixture.file))
        #expect(try #require(fixture.returnGrowth()).report.grownSizeBytes == 8192)
        #expect(!fixture.grow(2, visible: 0, blocks: 8, request: request))
        #expect(!fixture.filter.holdsGrowth(fixture.file))
        fixture.filter.growthReturned(fixture.file)
        #expect(!fixture.grow(2, visible: 0, blocks: 8, request: request))
        let next = try #require(fixture.filter.growthRequest(fixture.file))
        #expect(fixture.grow(3, visible: 8192, blocks: 8, request: next))
    }

    @Test func noExtensionWhileAReturnIsUnconfirmed() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 2)
        fixture.end(try #require(fixture.write(0, 8192).token))
        _ = fixture.returnGrowth()
        fixture.apply(3, [(.written, 2)], end: .at(sizeBytes: 8192))
        #expect(fixture.write(2 * block, 65_536).kind == "redirect")
        fixture.filter.growthReturned(fixture.file)
        #expect(fixture.write(2 * block, 65_536).kind == "extends")
    }
}
