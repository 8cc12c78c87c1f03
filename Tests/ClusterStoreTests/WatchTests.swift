import Testing

@testable import ClusterStore

@Suite(.timeLimit(.minutes(1))) struct WatchTests {
    @Test func eventsCarryKeyValuePreviousAndRevision() async throws {
        let store = try SQLiteStoreEngine.inMemory()
        try await store.put("w/a", [1])
        try await store.put("other", [1])
        _ = try await store.transaction(success: [.put("w/a", [2]), .put("w/b", [3])])
        try await store.delete("w/a")
        var events = store.watch(prefix: "w/", fromRevision: 1).makeAsyncIterator()
        let first = try #require(try await events.next())
        #expect(first.key == "w/a" && first.value == [1] && first.previous == nil)
        #expect(first.revision == 2)
        let second = try #require(try await events.next())
        #expect(second.value == [2] && second.previous?.value == [1] && second.revision == 4)
        let third = try #require(try await events.next())
        #expect(third.key == "w/b" && third.revision == 4)
        let fourth = try #require(try await events.next())
        #expect(fourth.kind == .delete && fourth.value == nil && fourth.previous?.value == [2])
        // Resumed in the middle.
        var resumed = store.watch(prefix: "w/", fromRevision: 5).makeAsyncIterator()
        #expect(try await resumed.next() == fourth)
    }

    @Test func aWatchWaitsForWhatIsToCome() async throws {
        let store = try SQLiteStoreEngine.inMemory()
        let watch = Task {
            var keys: [String] = []
            for try await event in store.watch(prefix: "w/", fromRevision: 2) {
                keys.append(event.key)
                if keys.count == 50 { break }
            }
            return keys
        }
        for index in 0..<100 {
            try await store.put(index % 2 == 0 ? "w/\(index)" : "x/\(index)", [])
        }
        #expect(try await watch.value == (0..<50).map { "w/\($0 * 2)" })
    }

    @Test func cancellingTheTaskEndsTheWatch() async throws {
        let store = try SQLiteStoreEngine.inMemory()
        let watch = Task {
            for try await _ in store.watch(prefix: "", fromRevision: 2) {}
        }
        try await Task.sleep(for: .milliseconds(50))
        watch.cancel()
        await #expect(throws: CancellationError.self) { try await watch.value }
    }

    @Test func historyIsBoundedAndItsEndIsClear() async throws {
        var options = SQLiteStoreEngine.Options()
        options.historyRevisions = 20
        let store = try SQLiteStoreEngine.inMemory(options: options)
        for index in 0..<100 { try await store.put("k", [UInt8(index)]) }
        var oldest: StoreRevision = 0
        do {
            for try await _ in store.watch(prefix: "k", fromRevision: 2) {}
        } catch StoreError.compacted(let revision) {
            oldest = revision
        }
        #expect((79...82).contains(oldest), "oldest is \(oldest)")
        var events = store.watch(prefix: "k", fromRevision: oldest).makeAsyncIterator()
        #expect(try await events.next()?.revision == oldest)
        await #expect(throws: StoreError.compacted(oldestRevision: oldest)) {
            var events = store.watch(prefix: "k", fromRevision: oldest - 1).makeAsyncIterator()
            _ = try await events.next()
        }
    }

    @Test func historyIsBoundedInBytesToo() async throws {
        var options = SQLiteStoreEngine.Options()
        options.historyBytes = 1_000_000
        let store = try SQLiteStoreEngine.inMemory(options: options)
        let value = [UInt8](repeating: 1, count: 100_000)
        for _ in 0..<30 { try await store.put("k", value) }
        await #expect(throws: StoreError.self) {
            var events = store.watch(prefix: "k", fromRevision: 2).makeAsyncIterator()
            _ = try await events.next()
        }
        var newest = store.watch(prefix: "k", fromRevision: 31).makeAsyncIterator()
        #expect(try await newest.next()?.revision == 31)
        // One transaction larger than the bound is still seen.
        let large = [UInt8](repeating: 2, count: StoreLimits.valueBytes)
        try await store.put("large", large)
        var last = store.watch(prefix: "large", fromRevision: 32).makeAsyncIterator()
        #expect(try await last.next()?.value?.count == large.count)
    }

    @Test func pagesNeverDivideATransaction() async throws {
        let store = try SQLiteStoreEngine.inMemory()
        let value = [UInt8](repeating: 9, count: 600_000)
        for round in 0..<8 {
            _ = try await store.transaction(
                success: [.put("w/\(round)a", value), .put("w/\(round)b", value)])
        }
        var transactions = store.watch(prefix: "w/", fromRevision: 1).transactions
            .makeAsyncIterator()
        for round in 0..<8 {
            let events = try #require(try await transactions.next())
            #expect(events.map(\.key) == ["w/\(round)a", "w/\(round)b"])
        }
    }

    @Test func followingReadsAgainWhenTheHistoryIsGone() async throws {
        var options = SQLiteStoreEngine.Options()
        options.historyRevisions = 10
        let store = try SQLiteStoreEngine.inMemory(options: options)
        try await store.put("f/a", [1])
        var updates = store.follow(prefix: "f/").makeAsyncIterator()
        guard case .snapshot(let first, 2) = try await updates.next() else {
            Issue.record("no snapshot")
            return
        }
        #expect(first.map(\.key) == ["f/a"])
        try await store.put("f/b", [2])
        guard case .changes(let events) = try await updates.next() else {
            Issue.record("no changes")
            return
        }
        #expect(events.map(\.key) == ["f/b"])
        try await store.delete("f/a")
        for index in 0..<50 { try await store.put("other", [UInt8(index)]) }
        guard case .snapshot(let second, 54) = try await updates.next() else {
            Issue.record("no second snapshot")
            return
        }
        #expect(second.map(\.key) == ["f/b"])
    }

    /// What changes elsewhere must not age a watch that has nothing to show.
    @Test func aQuietWatchSurvivesCompaction() async throws {
        var options = SQLiteStoreEngine.Options()
        options.historyRevisions = 10
        let store = try SQLiteStoreEngine.inMemory(options: options)
        let page = try await store.poll(prefix: "q/", fromRevision: 2, wait: .zero)
        #expect(page.nextRevision == 2)
        for index in 0..<9 { try await store.put("other", [UInt8(index)]) }
        let later = try await store.poll(prefix: "q/", fromRevision: 2, wait: .zero)
        #expect(later == WatchPage(events: [], nextRevision: 11))
        let waiting = Task {
            try await store.poll(prefix: "q/", fromRevision: 11, wait: .seconds(50))
        }
        try await Task.sleep(for: .milliseconds(50))
        for index in 0..<100 { try await store.put("other", [UInt8(index)]) }
        try await store.put("q/", [1])
        #expect(try await waiting.value.events.map(\.revision) == [111])
    }
}
