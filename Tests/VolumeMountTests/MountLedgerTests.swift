import CLinux
import FilterCore
import Glibc
import Testing
import VolumeModel
import VolumeProtocol

@testable import VolumeMount

/// What is noted is found again through nothing but the memory.
struct MountLedgerTests {
    private func handle(_ number: UInt8, length: Int = 12) throws -> FileHandle {
        try #require(FileHandle(kind: 129, bytes: (0..<length).map { number &+ UInt8($0) }))
    }

    private func lock(_ file: FileHandle, _ open: OpenID, _ start: UInt64) -> LockRequest {
        LockRequest(
            file: file, open: open, owner: .max - 3, kind: .record, type: .write,
            startBytes: start, lastBytes: start + 99, processID: 4711, waits: false)
    }

    @Test func whatIsNotedIsFound() throws {
        let ledger = try MountLedger()
        let (root, file) = (try handle(1), try handle(100, length: FileHandle.maximumLength))
        let records: [MountLedger.Record] = [
            .node(1, root, lookups: 1), .node(.max, file, lookups: 7),
            .open(OpenID(9), file, index: 3, isLost: false),
            .open(OpenID(8), root, index: 0, isLost: true), .lock(lock(file, OpenID(9), 1 << 62)),
            .growth(
                index: 3, GrowthClaim(visibleSizeBytes: 5, allocatedEndBytes: 1 << 50),
                sizeBytes: 1 << 40),
        ]
        let gone = records.map { _ in ledger.add(.node(77, root, lookups: 1)) }
        for slot in gone.dropFirst() { ledger.remove(slot) }
        ledger.remove(gone[0])
        let slots = records.map { ledger.add($0) }
        ledger.set(lookups: 8, of: slots[1])
        ledger.lastOpen = 9
        ledger.sessionEpoch = 12
        let later = try MountLedger(adopting: dup(ledger.file))
        var expected = records
        expected[1] = .node(.max, file, lookups: 8)
        #expect(Set(later.records.map(\.record)) == Set(expected))
        #expect(later.lastOpen == 9 && later.sessionEpoch == 12 && later.root == root)
        // Its free slots are free there, and no other.
        ledger.remove(slots[4])
        let last = try MountLedger(adopting: dup(ledger.file))
        #expect(last.add(.node(5, root, lookups: 1)) == slots[4])
        #expect(last.records.count == expected.count)
    }

    /// The next process answers what the one before lost with EIO, and closes it.
    @Test func lostOpensStayLost() throws {
        let ledger = try MountLedger()
        let (file, other) = (try handle(3), try handle(4))
        var before = MountHandler.State(rules: .all, lanes: 2, lun: nil, ledger: ledger)
        for (number, handle) in [(1, file), (2, file), (3, other)] as [(UInt64, FileHandle)] {
            let index = before.filter.open(handle)
            before.opens[OpenID(number)] = handle
            before.openRecords[OpenID(number)] = ledger.add(
                .open(OpenID(number), handle, index: index.number, isLost: false))
        }
        before.loseRecords()
        // One is open anew.
        before.openRecords[OpenID(4)] = ledger.add(
            .open(OpenID(4), file, index: 2, isLost: false))
        ledger.lastOpen = 4
        let later = try MountLedger(adopting: dup(ledger.file))
        var after = MountHandler.State(rules: .all, lanes: 2, lun: nil, ledger: later)
        after.resume(later.records)
        #expect(after.opens == [OpenID(4): file] && after.lostOpens == 3 && after.lastOpen == 4)
        #expect(after.openRecords.count == 4)
        #expect(
            [0, 1, 2].map { after.filter.isLost(FileIndex(number: $0)) } == [true, true, false])
        _ = after.close(file, FileIndex(number: 0), OpenID(1))
        _ = after.close(file, FileIndex(number: 0), OpenID(2))
        #expect(after.filter.index(of: file) == FileIndex(number: 2))
        #expect(later.records.count == 2)
    }

    @Test func strangersAreRefused() throws {
        let stranger = covol_fuse_memory(4096)
        #expect(throws: ErrorCode.self) { try MountLedger(adopting: dup(stranger)) }
        let length = lseek(try MountLedger().file, 0, SEEK_END)
        ftruncate(stranger, length)
        #expect(throws: ErrorCode.self) { try MountLedger(adopting: dup(stranger)) }
        close(stranger)
    }

    /// What does not fit must not be missed without a word.
    @Test func aFullLedgerIsNotAdopted() throws {
        let ledger = try MountLedger()
        let root = try handle(1)
        var count = 0
        while ledger.add(.node(UInt64(count), root, lookups: 1)) != .none { count += 1 }
        #expect(count == 1 << 20)
        #expect(throws: ErrorCode.self) { try MountLedger(adopting: dup(ledger.file)) }
    }
}
