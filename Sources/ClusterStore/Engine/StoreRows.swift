import Foundation
import GRDB

extension KeyValue {
    init(_ row: Row) throws {
        guard let key = String(validating: row["key"] as Data, as: UTF8.self) else {
            throw StoreError.damaged("a key is not UTF-8")
        }
        self.init(
            key: key, value: Array(row["value"] as Data), createRevision: row["create_revision"],
            modRevision: row["mod_revision"], version: row["version"],
            lease: (row["lease"] as Int64?).map(LeaseID.init(rawValue:)))
    }

    static func find(_ db: Database, _ key: String) throws -> KeyValue? {
        let statement = try db.cachedStatement(sql: "SELECT * FROM entries WHERE key = ?")
        return try Row.fetchOne(statement, arguments: [Data(key.utf8)]).map(KeyValue.init)
    }

    func save(_ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)")
        try statement.execute(arguments: [
            Data(key.utf8), Data(value), createRevision, modRevision, version, lease?.rawValue,
            checksum,
        ])
    }

    var checksum: Int64 {
        var writer = WireWriter()
        encode(into: &writer)
        return Checksum.of(writer.bytes)
    }
}

extension StoreEvent {
    init(stored bytes: [UInt8]) throws {
        do {
            var reader = WireReader(bytes)
            self = try StoreEvent(&reader)
            try reader.end()
        } catch {
            throw StoreError.damaged("an event of the history cannot be read: \(error)")
        }
    }
}

struct StoredLease {
    var id: LeaseID
    var ttlSeconds: Int

    static func all(_ db: Database) throws -> [StoredLease] {
        try Row.fetchAll(db, sql: "SELECT * FROM leases ORDER BY id").map { row in
            let lease = StoredLease(
                id: LeaseID(rawValue: row["id"]), ttlSeconds: row["ttl_seconds"])
            if row["checksum"] != lease.checksum
                || !StoreLimits.leaseSeconds.contains(lease.ttlSeconds)
            {
                throw StoreError.damaged("lease \(lease.id) does not match its checksum")
            }
            return lease
        }
    }

    func insert(_ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO leases VALUES (?, ?, ?)",
            arguments: [id.rawValue, ttlSeconds, checksum])
    }

    private var checksum: Int64 {
        var writer = WireWriter()
        writer.write(id.rawValue)
        writer.write(Int64(ttlSeconds))
        return Checksum.of(writer.bytes)
    }
}

/// The keys from `lower` on, below `upper`, as bytes.
struct KeySpan {
    var lower: Data
    var upper: Data

    init(prefix: String) {
        lower = Data(prefix.utf8)
        upper = lower
        // No byte of UTF-8 is 0xFF: counting up the last one never overflows, and one 0xFF is
        // above every key.
        if let last = upper.popLast() { upper.append(last + 1) } else { upper = Data([0xFF]) }
    }

    /// Without what is not after `key`.
    mutating func start(after key: String) {
        let next = Data(key.utf8) + [0]
        if lower.lexicographicallyPrecedes(next) { lower = next }
    }
}
