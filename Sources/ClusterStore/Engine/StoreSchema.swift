import Foundation
import GRDB

/// The tables of the database, and what must hold in them before the store starts.
enum StoreSchema {
    static let version = 1
    /// "covs", in the header of the file; see PRAGMA application_id.
    static let applicationID = 0x636F_7673
    /// What the file may grow beyond its limit, so that deletes and expiries always find room.
    static let reserveBytes = 64 << 20

    static func prepare(_ db: Database, onDisk: Bool, databaseBytes: Int) throws {
        // Nobody else may lock the file: another program that holds it would stop every node.
        try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        if onDisk {
            let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
            if mode != "wal" {
                throw StoreError.damaged("SQLite refuses WAL here (\(mode ?? "no answer"))")
            }
        }
        // FULL: an acknowledged transaction is on the disk; WAL's usual NORMAL would lose it.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        if try Int.fetchOne(db, sql: "PRAGMA synchronous") != 2 {
            throw StoreError.damaged("SQLite refuses synchronous = FULL")
        }
        try db.execute(sql: "PRAGMA journal_size_limit = 16777216")
        let pageBytes = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4096
        let pages = (databaseBytes + reserveBytes) / pageBytes
        _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(pages)")
    }

    /// Makes the tables in an empty database; checks everything in any other.
    static func open(_ db: Database) throws -> StoreHeader {
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
        if tables == 0 { return try create(db) }
        let application = try Int.fetchOne(db, sql: "PRAGMA application_id")
        if application != applicationID {
            throw StoreError.damaged("it is not a cluster store's database")
        }
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        if found != version {
            throw StoreError.damaged("its version is \(found), this program's is \(version)")
        }
        return try StoreVerification.check(db)
    }

    private static func create(_ db: Database) throws -> StoreHeader {
        let header = StoreHeader(
            storeID: (0..<16).map { _ in UInt8.random(in: 0...255) }, revision: 1, compacted: 0,
            nextLease: 1)
        try db.inTransaction(.immediate) {
            try db.execute(
                sql: """
                    PRAGMA application_id = \(applicationID);
                    PRAGMA user_version = \(version);
                    CREATE TABLE header (
                        id INTEGER PRIMARY KEY CHECK (id = 1), store_id BLOB NOT NULL,
                        revision INTEGER NOT NULL, compacted INTEGER NOT NULL,
                        next_lease INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;
                    CREATE TABLE entries (
                        key BLOB NOT NULL UNIQUE, value BLOB NOT NULL,
                        create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL,
                        version INTEGER NOT NULL, lease INTEGER,
                        checksum INTEGER NOT NULL) STRICT;
                    CREATE INDEX entries_lease ON entries (lease) WHERE lease IS NOT NULL;
                    CREATE TABLE leases (
                        id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL,
                        checksum INTEGER NOT NULL) STRICT;
                    CREATE TABLE history (
                        revision INTEGER NOT NULL, position INTEGER NOT NULL, key BLOB NOT NULL,
                        event BLOB NOT NULL, checksum INTEGER NOT NULL,
                        PRIMARY KEY (revision, position)) STRICT;
                    """)
            try header.save(db)
            return .commit
        }
        return header
    }
}
