import Foundation
import GRDB

extension SQLiteStoreEngine {
    public func get(_ key: String) async throws -> GetResponse {
        try StoreValidation.check(key: key)
        return try await read { db in
            GetResponse(
                entry: try KeyValue.find(db, key), revision: try StoreHeader(db).revision)
        }
    }

    public func range(prefix: String, after: String?, limit: Int) async throws -> RangeResponse {
        try StoreValidation.check(prefix: prefix)
        try StoreValidation.check(limit: limit)
        var span = KeySpan(prefix: prefix)
        if let after {
            try StoreValidation.check(key: after)
            span.start(after: after)
        }
        return try await read { [span] db in
            var response = RangeResponse(
                entries: [], more: false, revision: try StoreHeader(db).revision)
            let statement = try db.cachedStatement(
                sql: "SELECT * FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?")
            let rows = try Row.fetchCursor(
                statement, arguments: [span.lower, span.upper, limit + 1])
            var bytes = 0
            while let row = try rows.next() {
                let entry = try KeyValue(row)
                bytes += entry.encodedBytes
                if response.entries.count == limit || bytes > StoreLimits.replyBytes {
                    response.more = true
                    break
                }
                response.entries.append(entry)
            }
            return response
        }
    }

    public func transaction(
        compares: [StoreCompare], success: [StoreOperation], failure: [StoreOperation]
    ) async throws -> TransactionResponse {
        let transaction = StoreTransaction(compares: compares, success: success, failure: failure)
        try StoreValidation.check(transaction)
        return try await write { writer in
            try self.perform(transaction, &writer)
        }
    }

    private func perform(
        _ transaction: StoreTransaction, _ writer: inout StoreWriter
    ) throws -> TransactionResponse {
        var succeeded = true
        for compare in transaction.compares where succeeded {
            succeeded = compare.isMet(by: try KeyValue.find(writer.db, compare.key))
        }
        var results: [StoreResult] = []
        var bytes = 0
        for operation in succeeded ? transaction.success : transaction.failure {
            switch operation {
            case .put(let key, let value, let lease):
                if let lease { try checkLive(lease) }
                try writer.put(key, value, lease: lease)
                results.append(.put)
            case .delete(let key):
                results.append(.deleted(keys: try writer.delete(key)))
            case .deletePrefix(let prefix):
                results.append(.deleted(keys: try writer.deletePrefix(prefix)))
            case .get(let key):
                let entry = try KeyValue.find(writer.db, key)
                bytes += entry?.encodedBytes ?? 0
                if bytes > StoreLimits.replyBytes {
                    throw StoreError.limitExceeded(
                        "a transaction reads more than \(StoreLimits.replyBytes) bytes")
                }
                results.append(.entry(entry))
            }
        }
        return TransactionResponse(
            succeeded: succeeded, results: results,
            revision: writer.events.isEmpty ? writer.header.revision : writer.revision)
    }
}

extension KeyValue {
    var encodedBytes: Int { key.utf8.count + value.count + 48 }
}
