import Foundation
import GRDB

/// One transaction while it is made: collects its events, and writes them with the new revision.
/// Lives inside a single SQLite transaction.
struct StoreWriter {
    let db: Database
    var header: StoreHeader
    /// The transaction's revision, if it changes anything.
    let revision: StoreRevision
    private(set) var events: [StoreEvent] = []
    private(set) var historyBytes = 0
    private var leases: Set<LeaseID> = []
    private var puts = false
    private let databaseBytes: Int

    init(_ db: Database, databaseBytes: Int) throws {
        self.db = db
        self.databaseBytes = databaseBytes
        header = try StoreHeader(db)
        revision = header.revision + 1
    }

    mutating func put(_ key: String, _ value: [UInt8], lease: LeaseID?) throws {
        let previous = try KeyValue.find(db, key)
        let entry = KeyValue(
            key: key, value: value, createRevision: previous?.createRevision ?? revision,
            modRevision: revision, version: (previous?.version ?? 0) + 1, lease: lease)
        try entry.save(db)
        if let lease { leases.insert(lease) }
        puts = true
        try append(
            StoreEvent(kind: .put(entry), key: key, previous: previous, revision: revision))
    }

    mutating func delete(_ key: String) throws -> Int {
        guard let previous = try KeyValue.find(db, key) else { return 0 }
        try db.cachedStatement(sql: "DELETE FROM entries WHERE key = ?")
            .execute(arguments: [Data(key.utf8)])
        try append(
            StoreEvent(kind: .delete, key: key, previous: previous, revision: revision))
        return 1
    }

    mutating func deletePrefix(_ prefix: String) throws -> Int {
        let span = KeySpan(prefix: prefix)
        return try deleteAll(
            Data.fetchAll(
                db, sql: "SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
                arguments: [span.lower, span.upper, StoreLimits.changedKeys + 1]))
    }

    /// Deletes the lease and its keys.
    mutating func end(_ lease: LeaseID) throws {
        _ = try deleteAll(
            Data.fetchAll(
                db, sql: "SELECT key FROM entries WHERE lease = ? ORDER BY key",
                arguments: [lease.rawValue]))
        try db.execute(sql: "DELETE FROM leases WHERE id = ?", arguments: [lease.rawValue])
    }

    private mutating func deleteAll(_ keys: [Data]) throws -> Int {
        for key in keys {
            guard let key = String(validating: key, as: UTF8.self) else {
                throw StoreError.damaged("a key is not UTF-8")
            }
            _ = try delete(key)
        }
        return keys.count
    }

    private mutating func append(_ event: StoreEvent) throws {
        var writer = WireWriter()
        event.encode(into: &writer)
        historyBytes += writer.bytes.count
        if events.count >= StoreLimits.changedKeys
            || historyBytes > StoreLimits.transactionEventBytes
        {
            throw StoreError.limitExceeded(
                "one transaction changes more than \(StoreLimits.changedKeys) keys or "
                    + "\(StoreLimits.transactionEventBytes) bytes; use several")
        }
        let statement = try db.cachedStatement(sql: "INSERT INTO history VALUES (?, ?, ?, ?, ?)")
        try statement.execute(arguments: [
            revision, events.count, Data(event.key.utf8), Data(writer.bytes),
            Checksum.of(writer.bytes),
        ])
        events.append(event)
    }

    /// Writes the new revision; throws where the result would pass a bound.
    mutating func finish() throws {
        if !events.isEmpty { header.revision = revision }
        for lease in leases { try check(lease) }
        if puts { try checkRoom() }
        try header.save(db)
    }

    private func check(_ lease: LeaseID) throws {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT count(*) AS keys, total(length(key) + length(value)) AS bytes
                FROM entries WHERE lease = ?
                """,
            arguments: [lease.rawValue])
        guard let row else { return }
        if row["keys"] > StoreLimits.leaseKeys || row["bytes"] > Double(StoreLimits.leaseBytes) {
            throw StoreError.limitExceeded(
                "lease \(lease) would have more than \(StoreLimits.leaseKeys) keys or "
                    + "\(StoreLimits.leaseBytes) bytes")
        }
    }

    private func checkRoom() throws {
        let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        let pageBytes = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4096
        if (pages - free) * pageBytes > databaseBytes {
            throw StoreError.storageFull("it has \(databaseBytes) bytes; delete keys")
        }
    }

    /// Forgets history so that at most `revisions` transactions and about `bytes` remain; the newest
    /// transaction stays in any case. Returns the bytes that are left.
    mutating func compact(revisions: Int64, bytes limit: Int, of total: Int) throws -> Int {
        var cut = max(header.compacted, header.revision - revisions)
        if total > limit {
            // Down to three quarters, so that not every transaction compacts.
            var left = total
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT revision, sum(length(event)) AS bytes FROM history
                    WHERE revision < ? GROUP BY revision ORDER BY revision
                    """,
                arguments: [header.revision])
            while left > limit / 4 * 3, let row = try rows.next() {
                left -= row["bytes"] as Int
                cut = max(cut, row["revision"])
            }
        }
        if cut == header.compacted { return total }
        let freed = try Int.fetchOne(
            db, sql: "SELECT coalesce(sum(length(event)), 0) FROM history WHERE revision <= ?",
            arguments: [cut])
        try db.execute(sql: "DELETE FROM history WHERE revision <= ?", arguments: [cut])
        header.compacted = cut
        return total - (freed ?? 0)
    }
}
