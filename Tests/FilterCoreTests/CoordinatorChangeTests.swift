import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

/// What a node keeps, tells and loses when its coordinator changes.
@Suite struct CoordinatorChangeTests {
    private static let block = Limits.blockSizeBytes

    @Test func layoutsStayAndAreClaimed() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        fixture.apply(2, [(.written, 2), (.hole, 1)], from: 8)
        _ = fixture.recall(FilterFixture.blocks(0..<1), 9)
        fixture.filter.leaveCoordinator()
        #expect(fixture.write(Self.block, Int(Self.block)).kind == "direct")
        let claim = try #require(fixture.filter.claim(of: fixture.file))
        #expect(claim.ranges == [FilterFixture.blocks(1..<4), FilterFixture.blocks(8..<11)])
        #expect(claim.growth == nil)
        #expect(fixture.filter.claimedFiles == [fixture.file])
        #expect(fixture.apply(1, [(.written, 1)]), "the new coordinator counts from the start")
    }

    /// The coordinator that waited for the recall is no more; the next one has to wait as well.
    @Test func whatIsInFlightIsClaimed() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        let token = try #require(fixture.write(Self.block, Int(Self.block)).token)
        #expect(fixture.recall(FilterFixture.blocks(0..<4), 2) == nil)
        fixture.filter.leaveCoordinator()
        #expect(fixture.filter.claimedFiles == [fixture.file])
        #expect(
            fixture.filter.claim(of: fixture.file)?.ranges == [FilterFixture.blocks(1..<2)])
        fixture.end(token)
        #expect(fixture.filter.claim(of: fixture.file) == nil)
    }

    /// A recall is asked again until it is answered: a copy that comes after a newer grant is old.
    @Test func lateCopyOfARecallChangesNothing() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        #expect(fixture.recall(.everything, 2) != nil)
        fixture.grow(3, visible: 0, blocks: 8)
        let late = try #require(fixture.recall(.everything, 2))
        #expect(late.report.isEmpty)
        #expect(fixture.filter.holdsGrowth(fixture.file))
        #expect(fixture.recall(.everything, 4)?.report.grownSizeBytes == 0)
    }

    /// A hole is answered without the LUN, where no reservation could refuse it.
    @Test func theMapAloneAnswersMembersOnly() {
        var filter = FilterCore()
        #expect(filter.mayAnswerFromMap(nowNanoseconds: .max - 1))
        filter.memberUntilNanoseconds = 10
        #expect(filter.mayAnswerFromMap(nowNanoseconds: 9))
        #expect(!filter.mayAnswerFromMap(nowNanoseconds: 10))
        var broken = FilterCore(rules: .all.subtracting(.validAtCompletion))
        broken.memberUntilNanoseconds = 10
        #expect(broken.mayAnswerFromMap(nowNanoseconds: 10))
    }

    @Test func knownEndIsClaimedToTheLargestOffset() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)], end: .at(sizeBytes: 4 * Self.block - 10))
        let claim = try #require(fixture.filter.claim(of: fixture.file))
        #expect(claim.ranges == [ByteRange(start: 0, end: .max)])
    }

    @Test func emptyFilesEndIsClaimed() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [], end: .at(sizeBytes: 0))
        #expect(fixture.filter.claim(of: fixture.file)?.ranges == [ByteRange(start: 0, end: .max)])
    }

    @Test func claimsGoInPieces() {
        let claim = LayoutClaim(
            handle: FilterFixture.handle(1),
            ranges: (0..<10).map { FilterFixture.blocks($0 * 2..<$0 * 2 + 1) },
            growth: GrowthClaim(visibleSizeBytes: 1, allocatedEndBytes: 2))
        let pieces = claim.pieces(rangesMaximum: 4)
        #expect(pieces.map(\.ranges.count) == [4, 4, 2])
        #expect(pieces.flatMap(\.ranges) == claim.ranges)
        #expect(pieces.map { $0.growth != nil } == [true, false, false])
    }

    /// A coordinator that took the growth and died before it cut the file: the next one is told.
    @Test func growthThatWasTakenIsClaimedUntilItIsSettled() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let token = try #require(fixture.write(0, 100).token)
        fixture.end(token)
        let taken = try #require(fixture.recall(.everything, 2))
        #expect(taken.report.grownSizeBytes == 100)
        fixture.filter.leaveCoordinator()
        let claim = try #require(fixture.filter.claim(of: fixture.file))
        #expect(
            claim.growth
                == GrowthClaim(visibleSizeBytes: 0, allocatedEndBytes: 8 * Self.block))
        let told = try #require(fixture.returnGrowth())
        #expect(told.report.grownSizeBytes == 100)
        fixture.filter.growthReturned(fixture.file)
        #expect(fixture.filter.claim(of: fixture.file) == nil)
    }

    /// Taken up by the next coordinator, its end is shown here until that one knows it.
    @Test(arguments: [true, false]) func growthThatWasTakenUpIsShown(_ isReturned: Bool) throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let token = try #require(fixture.write(0, 100).token)
        fixture.end(token)
        _ = try #require(fixture.recall(.everything, 2))
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == nil)
        fixture.filter.leaveCoordinator()
        fixture.filter.takeUp(fixture.file)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 100)
        if isReturned {
            #expect(fixture.returnGrowth()?.report.grownSizeBytes == 100)
            #expect(fixture.filter.ownSizeBytes(fixture.handle) == 100)
            fixture.filter.growthReturned(fixture.file)
        } else {
            #expect(fixture.recall(.everything, 1)?.report.grownSizeBytes == 100)
        }
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == nil)
    }

    /// An answer may be older than a recall that came before it arrived, also of a growth that was taken
    /// up only while the answer was on its way.
    @Test func aSizeAskedForBeforeTheEndOfAGrowthIsAskedForAgain() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let token = try #require(fixture.write(0, 100).token)
        fixture.end(token)
        let (filter, handle) = (fixture.filter, fixture.handle)
        #expect(!filter.hasOwnSizeEnded(handle, since: filter.ownSize(handle)))
        let whileHeld = filter.ownSize(handle)
        _ = try #require(fixture.recall(.everything, 2))
        #expect(fixture.filter.hasOwnSizeEnded(handle, since: whileHeld))
        fixture.filter.leaveCoordinator()
        let beforeItIsTakenUp = fixture.filter.ownSize(handle)
        fixture.filter.takeUp(fixture.file)
        #expect(!fixture.filter.hasOwnSizeEnded(handle, since: beforeItIsTakenUp))
        _ = try #require(fixture.recall(.everything, 1))
        #expect(fixture.filter.hasOwnSizeEnded(handle, since: beforeItIsTakenUp))
        #expect(!fixture.filter.hasOwnSizeEnded(handle, since: fixture.filter.ownSize(handle)))
    }

    @Test func heldGrowthIsClaimed() throws {
        let fixture = FilterFixture()
        fixture.grow(1, visible: 0, blocks: 8)
        let claim = try #require(fixture.filter.claim(of: fixture.file))
        #expect(claim.ranges == [FilterFixture.blocks(0..<8)])
        #expect(claim.growth?.allocatedEndBytes == 8 * Self.block)
    }

    @Test func lostFilesAreGoodForNothingAndNewOpensStartAnew() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        let token = try #require(fixture.read(0, 100).token)
        #expect(fixture.filter.loseEverything() == 1)
        #expect(!fixture.filter.mayDeliver(token, nowNanoseconds: 0))
        fixture.end(token)
        #expect(fixture.filter.isLost(fixture.file))
        #expect(fixture.read(0, 100).kind == "redirect")
        #expect(!fixture.apply(2, [(.written, 4)]))
        let again = fixture.filter.open(fixture.handle)
        #expect(again != fixture.file)
        #expect(!fixture.filter.isLost(again))
        _ = fixture.filter.close(fixture.file)
        #expect(fixture.filter.index(of: fixture.handle) == again)
    }

    /// Rule valid-at-completion, and its control.
    @Test(arguments: [true, false]) func readIsValidAtCompletion(_ holds: Bool) throws {
        let rules = holds ? SafetyRules.all : .all.subtracting(.validAtCompletion)
        let fixture = FilterFixture(rules: rules)
        fixture.apply(1, [(.written, 4)])
        let first = try #require(fixture.read(0, 100).token)
        #expect(fixture.filter.mayDeliver(first, nowNanoseconds: 100))
        fixture.filter.directUntilNanoseconds = 200
        #expect(fixture.filter.mayDeliver(first, nowNanoseconds: 199))
        #expect(fixture.filter.mayDeliver(first, nowNanoseconds: 200) == !holds)
        fixture.filter.directUntilNanoseconds = .max
        fixture.filter.revokeFlights()
        #expect(fixture.filter.mayDeliver(first, nowNanoseconds: 0) == !holds)
        let second = try #require(fixture.read(0, 100).token)
        #expect(fixture.filter.mayDeliver(second, nowNanoseconds: 0))
    }

    @Test func nothingIsDirectWhileTheNodeIsNot() throws {
        let fixture = FilterFixture()
        fixture.apply(1, [(.written, 4)])
        fixture.filter.isDirect = false
        #expect(fixture.read(0, 100).kind == "redirect")
        #expect(fixture.write(0, 4096).kind == "redirect")
        #expect(fixture.filter.growthRequest(fixture.file) == nil)
        fixture.filter.isDirect = true
        #expect(fixture.read(0, 100).kind == "direct", "the maps are kept")
    }
}
