import Foundation
import GRDB

/// The one row that says where the store is.
struct StoreHeader: Hashable, Sendable {
    var storeID: [UInt8]
    var revision: StoreRevision
    /// The newest revision whose history is gone.
    var compacted: StoreRevision
    var nextLease: Int64

    init(storeID: [UInt8], revision: StoreRevision, compacted: StoreRevision, nextLease: Int64) {
        self.storeID = storeID
        self.revision = revision
        self.compacted = compacted
        self.nextLease = nextLease
    }

    init(_ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "SELECT store_id, revision, compacted, next_lease, checksum FROM header")
        guard let row = try Row.fetchOne(statement) else {
            throw StoreError.damaged("its header is missing")
        }
        self.init(
            storeID: Array(row["store_id"] as Data), revision: row["revision"],
            compacted: row["compacted"], nextLease: row["next_lease"])
        if row["checksum"] != checksum {
            throw StoreError.damaged("its header does not match its checksum")
        }
    }

    func save(_ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO header VALUES (1, ?, ?, ?, ?, ?)")
        try statement.execute(arguments: [Data(storeID), revision, compacted, nextLease, checksum])
    }

    private var checksum: Int64 {
        var writer = WireWriter()
        writer.write(storeID)
        writer.write(revision)
        writer.write(compacted)
        writer.write(nextLease)
        return Checksum.of(writer.bytes)
    }
}
