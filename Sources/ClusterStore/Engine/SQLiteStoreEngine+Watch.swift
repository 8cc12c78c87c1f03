import Foundation
import GRDB

/// Someone who waits for a change below a prefix.
struct Watcher {
    var prefix: [UInt8]
    var wake: AsyncStream<Void>.Continuation
    /// The first change there since the watcher looked; up to it, or to the store's revision,
    /// there was none.
    var firstMatch: StoreRevision?
}

extension SQLiteStoreEngine {
    public func watch(prefix: String, fromRevision: StoreRevision) -> StoreWatch {
        StoreWatch(fromRevision: fromRevision) { revision in
            try await self.poll(
                prefix: prefix, fromRevision: revision,
                wait: .seconds(StoreLimits.watchPollSeconds))
        }
    }

    /// The events from `fromRevision` on; waits for the first at most `wait`, then returns an empty
    /// page, whose `nextRevision` keeps a quiet watch ahead of compaction.
    func poll(
        prefix: String, fromRevision: StoreRevision, wait: Duration
    ) async throws -> WatchPage {
        try StoreValidation.check(prefix: prefix)
        try StoreValidation.check(fromRevision: fromRevision)
        let end = ContinuousClock.now + wait
        var revision = fromRevision
        // Registered before the first look, so that no change falls in between.
        let (stream, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = Watcher(prefix: Array(prefix.utf8), wake: wake)
            return state.nextWatcher
        }
        defer { state.withLock { _ = $0.watchers.removeValue(forKey: number) } }
        while true {
            let page = try await self.page(prefix: prefix, fromRevision: revision)
            if !page.events.isEmpty || ContinuousClock.now >= end { return page }
            await Self.wait(for: stream, until: end)
            try Task.checkCancellation()
            revision = max(page.nextRevision, try firstUnseen(by: number))
        }
    }

    /// Where a watcher goes on: what compaction has taken meanwhile was none of its business.
    private func firstUnseen(by number: UInt64) throws -> StoreRevision {
        try state.withLock { state in
            guard let watcher = state.watchers[number] else {
                throw state.failure ?? StoreError.closed
            }
            state.watchers[number]?.firstMatch = nil
            return watcher.firstMatch ?? state.revision + 1
        }
    }

    private static func wait(
        for stream: AsyncStream<Void>, until end: ContinuousClock.Instant
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stream { break } }
            group.addTask { try? await Task.sleep(until: end, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    private func page(prefix: String, fromRevision: StoreRevision) async throws -> WatchPage {
        let span = KeySpan(prefix: prefix)
        return try await read { db in
            let header = try StoreHeader(db)
            if fromRevision <= header.compacted {
                throw StoreError.compacted(oldestRevision: header.compacted + 1)
            }
            var page = WatchPage(
                events: [], nextRevision: max(fromRevision, header.revision + 1))
            if fromRevision > header.revision { return page }
            let statement = try db.cachedStatement(
                sql: """
                    SELECT revision, event FROM history
                    WHERE revision >= ? AND key >= ? AND key < ? ORDER BY revision, position
                    """)
            let rows = try Row.fetchCursor(
                statement, arguments: [fromRevision, span.lower, span.upper])
            var bytes = 0
            while let row = try rows.next() {
                let revision: Int64 = row["revision"]
                let data: Data = row["event"]
                if bytes + data.count > StoreLimits.watchPageBytes,
                    let last = page.events.last, last.revision != revision
                {
                    page.nextRevision = revision
                    break
                }
                bytes += data.count
                page.events.append(try StoreEvent(stored: Array(data)))
            }
            return page
        }
    }

    /// On the database's queue, after the commit. The new revision and who must look at it become
    /// known together: `firstUnseen` relies on it.
    func publish(_ events: [StoreEvent], historyBytes: Int) {
        let revision = events[0].revision
        let keys = events.map { Array($0.key.utf8) }
        let wakes = state.withLock { state in
            state.historyBytes = historyBytes
            state.revision = revision
            var wakes: [AsyncStream<Void>.Continuation] = []
            for (number, watcher) in state.watchers
            where keys.contains(where: { $0.starts(with: watcher.prefix) }) {
                if watcher.firstMatch == nil { state.watchers[number]?.firstMatch = revision }
                wakes.append(watcher.wake)
            }
            return wakes
        }
        for wake in wakes { wake.yield() }
    }
}
