import FilterCore
import Testing
import VolumeModel
import VolumeProtocol

/// What is told of locks must be what was granted.
@Suite struct HeldLocksTests {
    private var locks = HeldLocks()
    private let file = FilterFixture.handle(1)

    private func request(
        _ type: LockType, _ start: UInt64, _ last: UInt64, owner: UInt64 = 1,
        kind: LockKind = .record, open: UInt64 = 1
    ) -> LockRequest {
        LockRequest(
            file: file, open: OpenID(open), owner: owner, kind: kind, type: type,
            startBytes: start, lastBytes: last, processID: 7, waits: true)
    }

    private var held: [String] {
        locks.requests.map {
            "\($0.owner) \($0.kind) \($0.type) \($0.startBytes)-\($0.lastBytes) by \($0.open.number)"
        }.sorted()
    }

    @Test mutating func rangesAreSplitAndReplaced() {
        locks.granted(request(.write, 0, 99))
        locks.granted(request(.unlock, 10, 19))
        locks.granted(request(.read, 50, 200))
        #expect(
            held == [
                "1 record read 50-200 by 1", "1 record write 0-9 by 1",
                "1 record write 20-49 by 1",
            ])
        #expect(locks.requests.allSatisfy { !$0.waits && $0.processID == 7 })
        locks.granted(request(.unlock, 0, UInt64(Int64.max)))
        #expect(locks.isEmpty)
    }

    @Test mutating func flocksAreWholeAndLostByARefusedConversion() {
        locks.granted(request(.read, 0, 0, owner: 5, kind: .flock))
        #expect(held == ["5 flock read 0-9223372036854775807 by 1"])
        locks.refused(request(.write, 0, 0, owner: 5, kind: .flock))
        #expect(locks.isEmpty)
        locks.granted(request(.read, 0, 9))
        locks.refused(request(.write, 0, 9))
        #expect(held == ["1 record read 0-9 by 1"])
    }

    @Test mutating func closesEndLocks() {
        locks.granted(request(.write, 0, 9, owner: 1, open: 1))
        locks.granted(request(.write, 20, 29, owner: 1, open: 2))
        locks.granted(request(.write, 40, 49, owner: 2, open: 2))
        locks.granted(request(.read, 0, 0, owner: 1, kind: .flock, open: 2))
        locks.releaseOwner(file, owner: 1)
        #expect(
            held == ["1 flock read 0-9223372036854775807 by 2", "2 record write 40-49 by 2"])
        locks.releaseOpen(file, OpenID(2))
        #expect(locks.isEmpty)
    }
}
