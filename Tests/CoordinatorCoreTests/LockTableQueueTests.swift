import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

private typealias Fixture = LockTableFixture
private let node1 = Fixture.node1
private let node2 = Fixture.node2
private let node3 = Fixture.node3

/// Who waits for whom, and what ends it.
@Suite struct LockTableQueueTests {
    @Test(arguments: [LockKind.record, .flock])
    func readersDoNotStarveAWriter(kind: LockKind) {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1, kind: kind), session: node1, token: 1)
        let writer = Fixture.request(.write, owner: 2, kind: kind, waits: true)
        #expect(table.lock(writer, session: node2, token: 2).outcome == .waiting)
        let reader = Fixture.request(.read, owner: 3, kind: kind, waits: true)
        #expect(table.lock(reader, session: node3, token: 3).outcome == .waiting)
        // One that does not wait sees held locks only.
        let eager = Fixture.request(.read, owner: 4, kind: kind)
        #expect(table.lock(eager, session: node3, token: 4).outcome == .granted)
        _ = table.lock(eager.with(.unlock), session: node3, token: 5)
        let unlock = Fixture.request(.unlock, owner: 1, kind: kind)
        #expect(table.lock(unlock, session: node1, token: 6).grantedTokens == [2])
        let done = Fixture.request(.unlock, owner: 2, kind: kind)
        #expect(table.lock(done, session: node2, token: 7).grantedTokens == [3])
    }

    @Test func aChildOfAReaderOvertakesAWriter() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1, kind: .flock), session: node1, token: 1)
        let writer = Fixture.request(.write, owner: 2, kind: .flock, waits: true)
        _ = table.lock(writer, session: node2, token: 2)
        let child = Fixture.request(.read, owner: 3, kind: .flock, waits: true)
        #expect(table.lock(child, session: node1, token: 3).outcome == .granted)
    }

    @Test func aProcessThatHoldsAnythingOvertakes() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1), session: node1, token: 1)
        _ = table.lock(Fixture.request(.write, owner: 2, waits: true), session: node2, token: 2)
        let other = Fixture.request(.write, owner: 30, file: 2, process: 3)
        _ = table.lock(other, session: node3, token: 3)
        let reader = Fixture.request(.read, owner: 31, process: 3, waits: true)
        #expect(table.lock(reader, session: node3, token: 4).outcome == .granted)
    }

    @Test func deadlockOverTwoFilesAndThreeOwners() {
        var table = LockTable()
        let nodes = [node1, node2, node3]
        for index in 0..<3 {
            let request = Fixture.request(.write, owner: UInt64(index + 1), file: UInt8(index))
            _ = table.lock(request, session: nodes[index], token: UInt64(index))
        }
        for index in 0..<2 {
            let request = Fixture.request(
                .read, owner: UInt64(index + 1), file: UInt8(index + 1), waits: true)
            let reply = table.lock(request, session: nodes[index], token: UInt64(10 + index))
            #expect(reply.outcome == .waiting)
        }
        let closing = Fixture.request(.read, owner: 3, file: 0, waits: true)
        #expect(table.lock(closing, session: node3, token: 20).outcome == .deadlock)
        // Without waiting it is only a conflict.
        var eager = closing
        eager.waits = false
        #expect(table.lock(eager, session: node3, token: 20).outcome == .conflict)
        // The same owner number on another node is another owner.
        let foreign = Fixture.request(.read, owner: 3, file: 0, waits: true)
        #expect(table.lock(foreign, session: node2, token: 21).outcome == .waiting)
    }

    @Test func releaseOfAnOpenDropsItsLocksAndWaits() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.write, 0, 9, owner: 1, open: 1), session: node1, token: 1)
        _ = table.lock(Fixture.request(.write, 10, 19, owner: 1, open: 2), session: node1, token: 2)
        let flock = Fixture.request(.read, owner: 8, kind: .flock, open: 1)
        _ = table.lock(flock, session: node1, token: 3)
        let waits = [
            Fixture.request(.write, 0, 4, owner: 2, open: 5, waits: true),
            Fixture.request(.write, 15, 15, owner: 2, open: 5, waits: true),
            Fixture.request(.write, owner: 9, kind: .flock, open: 6, waits: true),
        ]
        for (index, wait) in waits.enumerated() {
            let reply = table.lock(wait, session: node2, token: UInt64(10 + index))
            #expect(reply.outcome == .waiting)
        }
        // Another node's open of the same number is another open.
        let foreign = table.releaseOpen(file: Fixture.file(1), session: node3, open: OpenID(1))
        #expect(foreign == LockRelease())
        let release = table.releaseOpen(file: Fixture.file(1), session: node1, open: OpenID(1))
        #expect(release.grantedTokens == [10, 12] && release.endedTokens.isEmpty)
        #expect(table.locks(of: node1).map(\.startBytes) == [10])
        let second = table.releaseOpen(file: Fixture.file(1), session: node2, open: OpenID(5))
        #expect(second.endedTokens == [11])
        #expect(table.locks(of: node2).map(\.kind) == [.flock])
    }

    @Test func aCloseDropsRecordLocksOnly() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.write, 0, 9, owner: 1, open: 1), session: node1, token: 1)
        _ = table.lock(Fixture.request(.write, 20, 29, owner: 1, open: 2), session: node1, token: 2)
        _ = table.lock(Fixture.request(.write, owner: 1, kind: .flock), session: node1, token: 3)
        _ = table.releaseOwner(file: Fixture.file(1), session: node1, owner: 1)
        #expect(table.locks(of: node1).map(\.kind) == [.flock])
    }

    @Test func theEndOfASession() {
        var table = LockTable()
        for number in UInt8(0)..<8 {
            let held = Fixture.request(.write, owner: 1, file: number)
            _ = table.lock(held, session: node1, token: 100)
            let wait = Fixture.request(.write, owner: 2, file: number, waits: true)
            _ = table.lock(wait, session: node2, token: UInt64(number))
            let own = Fixture.request(.write, owner: 3, file: number, waits: true)
            _ = table.lock(own, session: node1, token: UInt64(20 + number))
        }
        let release = table.endSession(node1)
        #expect(release == Array(0..<8))
        #expect(table.waiterCount == 0)
        #expect(table.locks(of: node1).isEmpty && table.locks(of: node2).count == 8)
        _ = table.endSession(node2)
        #expect(table.rangeCount == 0 && table.waiterCount == 0)
        #expect(table.files.isEmpty && table.holdings.isEmpty && table.waitsOfOwner.isEmpty)
    }

    @Test func theTableFillsUp() {
        var table = LockTable(locksMaximum: 4)
        _ = table.lock(Fixture.request(.write, 0, 99, owner: 1), session: node1, token: 1)
        let wait = Fixture.request(.write, owner: 2, waits: true)
        #expect(table.lock(wait, session: node2, token: 2).outcome == .waiting)
        let second = Fixture.request(.write, owner: 3, waits: true)
        #expect(table.lock(second, session: node2, token: 3).outcome == .tooMany)
        let hole = Fixture.request(.unlock, 10, 19, owner: 1)
        #expect(table.lock(hole, session: node1, token: 3).outcome == .granted)
        let another = Fixture.request(.unlock, 30, 39, owner: 1)
        #expect(table.lock(another, session: node1, token: 4).outcome == .tooMany)
        #expect(table.rangeCount == 2)
        let all = Fixture.request(.unlock, owner: 1)
        #expect(table.lock(all, session: node1, token: 5).grantedTokens == [2])
    }
}
