import Foundation
import GRDB

/// The check of a whole database at the start: SQLite's own, then each row's checksum, then what
/// the rows say of each other. Anything wrong throws `StoreError.damaged`.
enum StoreVerification {
    static func check(_ db: Database) throws -> StoreHeader {
        let problems = try String.fetchAll(db, sql: "PRAGMA integrity_check(5)")
        if problems != ["ok"] {
            throw StoreError.damaged(problems.joined(separator: "; "))
        }
        let header = try StoreHeader(db)
        if header.revision < 1 || header.compacted < 0 || header.compacted > header.revision {
            throw StoreError.damaged("its header says what cannot be")
        }
        let leases = try checkLeases(db, header)
        try checkEntries(db, header, leases)
        try checkHistory(db, header)
        return header
    }

    private static func checkLeases(_ db: Database, _ header: StoreHeader) throws -> Set<Int64> {
        var leases: Set<Int64> = []
        for lease in try StoredLease.all(db) {
            if lease.id.rawValue >= header.nextLease {
                throw StoreError.damaged("lease \(lease.id) is not from this store")
            }
            leases.insert(lease.id.rawValue)
        }
        return leases
    }

    private static func checkEntries(
        _ db: Database, _ header: StoreHeader, _ leases: Set<Int64>
    ) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT *, entries.checksum FROM entries")
        while let row = try rows.next() {
            let entry = try KeyValue(row)
            if row["checksum"] != entry.checksum {
                throw StoreError.damaged("key '\(entry.key)' does not match its checksum")
            }
            if entry.modRevision > header.revision || entry.createRevision > entry.modRevision {
                throw StoreError.damaged("key '\(entry.key)' is of a revision that never was")
            }
            if let lease = entry.lease, !leases.contains(lease.rawValue) {
                throw StoreError.damaged("key '\(entry.key)' has lease \(lease), which is missing")
            }
        }
    }

    private static func checkHistory(_ db: Database, _ header: StoreHeader) throws {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM history ORDER BY revision, position")
        var newest = max(header.compacted, 1)
        while let row = try rows.next() {
            let revision: Int64 = row["revision"]
            let bytes = Array(row["event"] as Data)
            if row["checksum"] != Checksum.of(bytes) {
                throw StoreError.damaged("revision \(revision) does not match its checksum")
            }
            let event = try StoreEvent(stored: bytes)
            if event.revision != revision || Data(event.key.utf8) != row["key"] as Data {
                throw StoreError.damaged("revision \(revision) of the history is mixed up")
            }
            if revision != newest && revision != newest + 1 {
                throw StoreError.damaged("revision \(newest + 1) of the history is missing")
            }
            newest = revision
        }
        if newest != header.revision {
            throw StoreError.damaged(
                "its history ends at revision \(newest), its header says \(header.revision)")
        }
    }
}
