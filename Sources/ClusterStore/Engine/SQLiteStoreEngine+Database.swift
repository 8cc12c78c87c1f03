import Foundation
import GRDB

extension SQLiteStoreEngine {
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try checkOpen()
        do {
            return try await queue.read(body)
        } catch let error as DatabaseError {
            let code = error.resultCode.primaryResultCode
            if Task.isCancelled && (code == .SQLITE_INTERRUPT || code == .SQLITE_ABORT) {
                throw CancellationError()
            }
            throw meaning(of: error, changing: false)
        }
    }

    /// Does `body` in one transaction. Once begun it is not cancelled: its caller's task ending
    /// must not leave open what was done.
    func write<Value: Sendable>(
        always: Bool = false, _ body: @escaping @Sendable (inout StoreWriter) throws -> Value
    ) async throws -> Value {
        try checkOpen()
        return try await withCheckedThrowingContinuation { done in
            queue.asyncWriteWithoutTransaction { db in
                done.resume(with: Result { try self.transact(db, always: always, body) })
            }
        }
    }

    /// On the database's queue. `always`: commits also without an event.
    private func transact<Value>(
        _ db: Database, always: Bool, _ body: (inout StoreWriter) throws -> Value
    ) throws -> Value {
        try checkOpen()
        var events: [StoreEvent] = []
        var bytes = 0
        var value: Value?
        do {
            try db.inTransaction(.immediate) {
                var writer = try StoreWriter(db, databaseBytes: options.databaseBytes)
                value = try body(&writer)
                if writer.events.isEmpty && !always { return .rollback }
                try writer.finish()
                bytes = try compact(&writer)
                events = writer.events
                return .commit
            }
        } catch let error as DatabaseError {
            throw meaning(of: error, changing: true)
        }
        if !events.isEmpty { publish(events, historyBytes: bytes) }
        guard let value else { preconditionFailure("a transaction ended without a value") }
        return value
    }

    private func compact(_ writer: inout StoreWriter) throws -> Int {
        let bytes = state.withLock { $0.historyBytes } + writer.historyBytes
        let kept = writer.header.revision - writer.header.compacted
        // A tenth more than asked for, so that not every transaction compacts.
        if kept <= options.historyRevisions + options.historyRevisions / 10
            && bytes <= options.historyBytes
        {
            return bytes
        }
        let left = try writer.compact(
            revisions: options.historyRevisions, bytes: options.historyBytes, of: bytes)
        try writer.header.save(writer.db)
        return left
    }

    /// SQLite's result codes: sqlite.org/rescode.html.
    private func meaning(of error: DatabaseError, changing: Bool) -> StoreError {
        // Closed while the request waited: SQLite's complaint about that means nothing.
        if let failure = state.withLock({ $0.failure }) { return failure }
        switch error.resultCode.primaryResultCode {
        case .SQLITE_FULL:
            return .storageFull(error.description)
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_NOMEM:
            return .unavailable(error.description)
        default:
            let failure = StoreError.storeFailed(error.description)
            options.logger.critical(
                "the database failed, the store stops", metadata: ["error": "\(error)"])
            stop(with: failure)
            state.withLock { $0.onFailure }?(failure)
            return changing ? .outcomeUnknown(error.description) : failure
        }
    }
}
