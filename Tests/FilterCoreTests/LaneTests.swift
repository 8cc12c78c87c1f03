import Testing
import VolumeModel
import VolumeProtocol

@testable import FilterCore

/// Direct I/O in lanes: what a worker may do by itself, and what it must not.
@Suite struct LaneTests {
    static let block = FilterFixture.block

    private func fixture() -> FilterFixture {
        let fixture = FilterFixture(lanes: 3)
        fixture.apply(1, [(.written, 8)], end: .at(sizeBytes: 8 * Self.block))
        return fixture
    }

    private func write(_ fixture: FilterFixture, block: UInt64, lane: Int) -> WritePlan? {
        fixture.filter.planWriteAlone(
            fixture.file, offsetBytes: block * Self.block, lengthBytes: Int(Self.block), lane: lane)
    }

    @Test func tokensNameTheirLane() throws {
        for (lane, position) in [(0, Int32(0)), (1, 5), (255, 4_194_303)] {
            let token = DirectToken(lane: lane, position: position)
            #expect(token.lane == lane)
            #expect(token.position == Int(position))
            #expect(token.number >= 0)
            #expect(DirectToken(number: token.number) == token)
        }
        let fixture = fixture()
        let first = try #require(write(fixture, block: 0, lane: 1)?.token)
        let second = try #require(write(fixture, block: 1, lane: 2)?.token)
        let third = try #require(write(fixture, block: 2, lane: 2)?.token)
        #expect([first.lane, second.lane, third.lane] == [1, 2, 2])
        #expect(Set([first, second, third]).count == 3)
        #expect(fixture.filter.flightCount == 3)
    }

    @Test func aRecallWaitsForEveryLane() throws {
        let fixture = fixture()
        let first = try #require(write(fixture, block: 0, lane: 0)?.token)
        let second = try #require(
            fixture.filter.planRead(
                fixture.file, offsetBytes: 0, lengthBytes: 4096, lane: 2
            ).token)
        #expect(fixture.recall(FilterFixture.blocks(0..<1), 2) == nil)
        #expect(fixture.filter.delaysRecall(first))
        #expect(fixture.filter.delaysRecall(second))
        // A recall waits: it is to be answered, so no lane ends its I/O by itself.
        #expect(!fixture.filter.endAlone(first, nowNanoseconds: 10))
        #expect(fixture.end(first).isEmpty)
        #expect(!fixture.filter.endAlone(second, nowNanoseconds: 10))
        #expect(fixture.end(second).count == 1)
        #expect(fixture.filter.flightCount == 0)
    }

    @Test func whatALaneWroteIsReportedOnce() throws {
        let fixture = fixture()
        for lane in [2, 0, 1] {
            let token = try #require(write(fixture, block: UInt64(lane), lane: lane)?.token)
            #expect(fixture.filter.endAlone(token, nowNanoseconds: 100 + UInt64(lane)))
        }
        #expect(fixture.filter.hasUnreportedWrites(fixture.handle))
        let report = fixture.filter.collectWrites(fixture.handle, nowNanoseconds: 150)
        // The newest of the lanes' times is 102.
        #expect(report.ageNanoseconds == 48)
        #expect(!fixture.filter.hasUnreportedWrites(fixture.handle))
        let again = fixture.filter.collectWrites(fixture.handle, nowNanoseconds: 160)
        #expect(again.isEmpty)
    }

    @Test func readsAreNotWrites() throws {
        let fixture = fixture()
        let token = try #require(
            fixture.filter.planRead(
                fixture.file, offsetBytes: 0, lengthBytes: 4096, lane: 1
            ).token)
        #expect(fixture.filter.endAlone(token, nowNanoseconds: 5))
        #expect(!fixture.filter.hasUnreportedWrites(fixture.handle))
    }

    @Test func aRevokedReadIsNotDeliveredAlone() throws {
        let fixture = fixture()
        let read = try #require(
            fixture.filter.planRead(
                fixture.file, offsetBytes: 0, lengthBytes: 4096, lane: 1
            ).token)
        let other = try #require(write(fixture, block: 1, lane: 2)?.token)
        fixture.filter.revokeFlights()
        #expect(!fixture.filter.endAlone(read, nowNanoseconds: 5))
        #expect(!fixture.filter.mayDeliver(read, nowNanoseconds: 5))
        #expect(fixture.filter.endAlone(other, nowNanoseconds: 5))
        fixture.end(read)
        // The lease's own end is looked at as well.
        let late = try #require(
            fixture.filter.planRead(
                fixture.file, offsetBytes: 0, lengthBytes: 4096, lane: 1
            ).token)
        fixture.filter.directUntilNanoseconds = 10
        #expect(!fixture.filter.endAlone(late, nowNanoseconds: 10))
        #expect(fixture.filter.endAlone(late, nowNanoseconds: 9))
    }

    @Test func aLostFilesWriteIsNotEndedAlone() throws {
        let fixture = fixture()
        let token = try #require(write(fixture, block: 0, lane: 1)?.token)
        fixture.filter.lose(fixture.file)
        #expect(!fixture.filter.endAlone(token, nowNanoseconds: 5))
        fixture.end(token, succeeded: false)
        #expect(!fixture.filter.hasUnreportedWrites(fixture.handle))
    }

    @Test func aGrowingFileIsNobodysAlone() throws {
        let fixture = FilterFixture(lanes: 2)
        fixture.apply(1, [(.written, 2)], end: .at(sizeBytes: 2 * Self.block))
        let before = try #require(write(fixture, block: 0, lane: 1)?.token)
        fixture.grow(2, visible: 2 * Self.block, blocks: 4)
        #expect(write(fixture, block: 2, lane: 1) == nil)
        #expect(fixture.filter.flightCount == 1)
        #expect(!fixture.filter.endAlone(before, nowNanoseconds: 5))
        let plan = fixture.filter.planWrite(
            fixture.file, offsetBytes: 2 * Self.block, lengthBytes: Int(Self.block), lane: 1)
        let token = try #require(plan.token)
        fixture.end(token)
        #expect(fixture.filter.ownSizeBytes(fixture.handle) == 3 * Self.block)
    }

    @Test func oddEndsMeetInAllLanes() throws {
        // The zeros behind one lane's odd end would meet the other lane's write to that block.
        let fixture = FilterFixture(lanes: 2)
        fixture.grow(1, visible: 0, blocks: 4)
        let first = fixture.filter.planWrite(
            fixture.file, offsetBytes: 0, lengthBytes: 100, lane: 0)
        #expect(first.kind == "direct")
        let second = fixture.filter.planWrite(
            fixture.file, offsetBytes: 0, lengthBytes: Int(Self.block), lane: 1)
        #expect(second.kind == "redirect")
    }

    @Test func aFillIsNotedByAllOrNotAtAll() throws {
        let fixture = FilterFixture(lanes: 2)
        fixture.apply(1, [(.hole, 8)], end: .at(sizeBytes: 8 * Self.block))
        let range = FilterFixture.blocks(0..<8)
        fixture.filter.beginFill(fixture.file, range)
        let isGranted = fixture.filter.applyFill(
            FilterFixture.grant(2, [(.written, 8)], end: .at(sizeBytes: 8 * Self.block)),
            to: fixture.file, for: range)
        #expect(isGranted)
        // Beyond what was reached: noted, which a lane cannot do.
        #expect(write(fixture, block: 3, lane: 1) == nil)
        let plan = fixture.filter.planWrite(
            fixture.file, offsetBytes: 3 * Self.block, lengthBytes: Int(Self.block), lane: 1)
        fixture.end(try #require(plan.token))
        // Behind it, nothing is to be noted.
        #expect(write(fixture, block: 1, lane: 1)?.token != nil)
        #expect(write(fixture, block: 4, lane: 1) == nil)
    }

    /// A lane remembers the extent that it found last: not beyond the map that it was of.
    @Test func whatALaneRemembersEndsWithTheMap() throws {
        let fixture = fixture()
        func place(_ block: UInt64) -> UInt64? {
            guard
                case .direct(let token, let offset, _, _, _) = fixture.filter.planRead(
                    fixture.file, offsetBytes: block * Self.block, lengthBytes: 4096, lane: 1)
            else { return nil }
            fixture.end(token)
            return offset / Self.block
        }
        #expect(place(2) == 1002)
        #expect(place(3) == 1003)
        // Recalled: gone, however well it is remembered.
        #expect(fixture.recall(FilterFixture.blocks(0..<4), 2) != nil)
        #expect(place(3) == nil)
        #expect(place(5) == 1005)
        // Granted anew, elsewhere.
        fixture.apply(3, [(.written, 4), (.written, 4)], end: .at(sizeBytes: 8 * Self.block))
        #expect(place(5) == 2001)
        #expect(place(1) == 1001)
        // Another file in the same place of the table, granted as often.
        _ = fixture.filter.close(fixture.file)
        let other = fixture.filter.open(FilterFixture.handle(2))
        #expect(other == fixture.file)
        #expect(place(1) == nil)
        for generation in UInt64(1)...8 {
            var grant = FilterFixture.grant(generation, [(.hole, 8)])
            grant.end = .at(sizeBytes: 8 * Self.block)
            let isTaken = fixture.filter.apply(grant, to: other, asGrowth: false)
            #expect(isTaken)
            #expect(place(1) == nil)
        }
    }
}
