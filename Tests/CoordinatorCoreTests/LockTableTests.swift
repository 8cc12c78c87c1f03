import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

private typealias Fixture = LockTableFixture
private let node1 = Fixture.node1
private let node2 = Fixture.node2
private let node3 = Fixture.node3

@Suite struct LockTableTests {
    /// What a held lock does to another node's request for the same bytes.
    @Test(arguments: [
        (LockType.read, LockType.read, true), (.read, .write, false), (.write, .read, false),
        (.write, .write, false),
    ])
    func exclusion(held: LockType, asked: LockType, isGranted: Bool) {
        for kind in [LockKind.record, .flock] {
            var table = LockTable()
            #expect(
                table.lock(Fixture.request(held, owner: 5, kind: kind), session: node1, token: 1)
                    .outcome == .granted)
            let request = Fixture.request(asked, owner: 5, kind: kind)
            #expect((table.test(request, session: node2) == nil) == isGranted)
            #expect(
                table.lock(request, session: node2, token: 2).outcome
                    == (isGranted ? .granted : .conflict))
        }
    }

    @Test func recordLocksAndFlockAreIndependent() {
        var table = LockTable()
        #expect(
            table.lock(Fixture.request(.write, owner: 1), session: node1, token: 1).outcome
                == .granted)
        let flock = Fixture.request(.write, owner: 2, kind: .flock)
        #expect(table.lock(flock, session: node2, token: 2).outcome == .granted)
    }

    @Test func rangesSplitJoinAndConvert() {
        var table = LockTable()
        func lock(_ type: LockType, _ start: UInt64, _ end: UInt64) {
            let request = Fixture.request(type, start, end, owner: 1)
            #expect(table.lock(request, session: node1, token: 1).outcome == .granted)
        }
        func held() -> [String] {
            table.locks(of: node1).map { "\($0.type) \($0.startBytes)-\($0.lastBytes)" }
        }
        lock(.write, 0, 99)
        lock(.unlock, 40, 59)
        #expect(held() == ["write 0-39", "write 60-99"])
        lock(.read, 20, 69)
        #expect(held() == ["write 0-19", "read 20-69", "write 70-99"])
        lock(.write, 20, 69)
        #expect(held() == ["write 0-99"])
        lock(.write, 100, Fixture.last)
        #expect(held() == ["write 0-\(Fixture.last)"])
        lock(.unlock, 0, Fixture.last)
        #expect(held().isEmpty && !table.isLocked(Fixture.file(1)) && table.rangeCount == 0)
    }

    @Test func testShowsTheFirstConflictAndNoForeignProcess() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, 10, 19, owner: 7), session: node1, token: 1)
        _ = table.lock(Fixture.request(.read, 20, 29, owner: 7, open: 2), session: node1, token: 1)
        let request = Fixture.request(.write, 15, 200, owner: 9)
        let seen = LockConflict(type: .read, startBytes: 10, lastBytes: 29, processID: 7)
        #expect(table.test(request, session: node1) == seen)
        #expect(table.test(request, session: node2)?.processID == 0)
        #expect(table.test(Fixture.request(.write, 0, 9, owner: 9), session: node2) == nil)
        // The owner's own locks are in nobody's way but others'.
        #expect(table.test(Fixture.request(.write, owner: 7), session: node1) == nil)
        #expect(table.test(Fixture.request(.write, owner: 7), session: node2) != nil)
    }

    @Test func waiterIsGrantedByUnlock() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.write, 0, 9, owner: 1), session: node1, token: 1)
        let wait = Fixture.request(.write, 5, 15, owner: 2, waits: true)
        #expect(table.lock(wait, session: node2, token: 2).outcome == .waiting)
        let part = Fixture.request(.unlock, 0, 4, owner: 1)
        #expect(table.lock(part, session: node1, token: 3).outcome == .granted)
        let rest = Fixture.request(.unlock, 5, 9, owner: 1)
        let reply = table.lock(rest, session: node1, token: 4)
        #expect(reply.outcome == .granted && reply.grantedTokens == [2])
        #expect(table.test(part.with(.write), session: node1) == nil)
        #expect(table.test(rest.with(.write), session: node1)?.startBytes == 5)
    }

    @Test func downgradeLetsReadersIn() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.write, owner: 1), session: node1, token: 1)
        let wait = Fixture.request(.read, owner: 2, waits: true)
        #expect(table.lock(wait, session: node2, token: 2).outcome == .waiting)
        let reply = table.lock(Fixture.request(.read, owner: 1), session: node1, token: 3)
        #expect(reply.grantedTokens == [2])
    }

    @Test func refusedUpgradeKeepsTheReadLock() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1), session: node1, token: 1)
        _ = table.lock(Fixture.request(.read, owner: 2), session: node2, token: 2)
        let upgrade = Fixture.request(.write, owner: 1, waits: true)
        #expect(table.lock(upgrade, session: node1, token: 3).outcome == .waiting)
        #expect(table.locks(of: node1).map(\.type) == [.read])
        // The second upgrade can never be granted.
        let second = Fixture.request(.write, owner: 2, waits: true)
        #expect(table.lock(second, session: node2, token: 4).outcome == .deadlock)
        let release = table.releaseOwner(file: Fixture.file(1), session: node2, owner: 2)
        #expect(release == [3])
        #expect(table.locks(of: node1).map(\.type) == [.write])
    }

    @Test func refusedFlockConversionLosesTheLock() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1, kind: .flock), session: node1, token: 1)
        _ = table.lock(Fixture.request(.read, owner: 2, kind: .flock), session: node2, token: 2)
        let upgrade = Fixture.request(.write, owner: 1, kind: .flock)
        #expect(table.lock(upgrade, session: node1, token: 3).outcome == .conflict)
        #expect(table.locks(of: node1).isEmpty)
    }

    @Test func flockDowngradeIsNotQueued() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.write, owner: 1, kind: .flock), session: node1, token: 1)
        let wait = Fixture.request(.write, owner: 2, kind: .flock, waits: true)
        _ = table.lock(wait, session: node2, token: 2)
        let downgrade = Fixture.request(.read, owner: 1, kind: .flock, waits: true)
        #expect(table.lock(downgrade, session: node1, token: 3).outcome == .granted)
    }

    @Test func cancelEndsTheWait() {
        var table = LockTable()
        _ = table.lock(Fixture.request(.read, owner: 1), session: node1, token: 1)
        let writer = Fixture.request(.write, owner: 2, waits: true)
        _ = table.lock(writer, session: node2, token: 2)
        let reader = Fixture.request(.read, owner: 3, waits: true)
        #expect(table.lock(reader, session: node3, token: 3).outcome == .waiting)
        let release = table.cancel(2)
        #expect(release?.endedTokens == [2] && release?.grantedTokens == [3])
        #expect(table.cancel(2) == nil)
        #expect(table.waiterCount == 0)
    }
}

extension LockRequest {
    func with(_ type: LockType) -> LockRequest {
        var request = self
        request.type = type
        return request
    }
}
