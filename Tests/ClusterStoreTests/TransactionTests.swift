import ClusterStore
import Testing

@Suite struct TransactionTests {
    let store: SQLiteStoreEngine

    init() throws {
        store = try .inMemory()
    }

    @Test func keysCarryTheirRevisionsAsInEtcd() async throws {
        #expect(try await store.get("a") == GetResponse(entry: nil, revision: 1))
        #expect(try await store.put("a", [1]) == 2)
        #expect(try await store.put("b", [2]) == 3)
        #expect(try await store.put("a", [3]) == 4)
        let entry = try await store.get("a").entry
        #expect(
            entry
                == KeyValue(key: "a", value: [3], createRevision: 2, modRevision: 4, version: 2))
        #expect(try await store.delete("a"))
        #expect(try await !store.delete("a"))
        #expect(try await store.get("a").revision == 5)
        try await store.put("a", [4])
        let again = try await store.get("a").entry
        #expect(again?.createRevision == 6)
        #expect(again?.version == 1)
    }

    @Test func onlyTransactionsThatChangeSomethingTakeARevision() async throws {
        try await store.put("a", [1])
        let read = try await store.transaction(success: [.get("a"), .delete("none")])
        #expect(read.revision == 2)
        #expect(read.results.count == 2)
        #expect(read.results.last == .deleted(keys: 0))
        let several = try await store.transaction(
            success: [.put("x", [1]), .put("y", [2]), .get("x"), .delete("a")])
        #expect(several.revision == 3)
        guard case .entry(let seen) = several.results[2] else {
            Issue.record("no entry")
            return
        }
        #expect(seen?.modRevision == 3)
        #expect(try await store.get("y").entry?.modRevision == 3)
        #expect(try await store.get("y").revision == 3)
    }

    @Test(arguments: [
        (StoreCompare.exists("k"), true), (.missing("k"), false), (.exists("no"), false),
        (.missing("no"), true), (.createRevision("k", .equal, 2), true),
        (.createRevision("k", .greater, 2), false), (.modRevision("k", .equal, 3), true),
        (.modRevision("k", .less, 4), true), (.modRevision("k", .notEqual, 3), false),
        (.modRevision("no", .equal, 0), true), (.version("k", .equal, 2), true),
        (.version("k", .greater, 2), false), (.value("k", .equal, [5, 200]), true),
        (.value("k", .notEqual, [5, 200]), false), (.value("k", .less, [6]), true),
        (.value("k", .greater, [5, 100, 0]), true), (.value("k", .greater, [5, 200]), false),
        (.value("no", .notEqual, [1]), false), (.value("no", .equal, []), false),
    ])
    func compares(_ compare: StoreCompare, _ holds: Bool) async throws {
        try await store.put("k", [1])
        try await store.put("k", [5, 200])
        let response = try await store.transaction(
            compares: [.exists("k"), compare], success: [.put("result", [1])],
            failure: [.put("result", [0])])
        #expect(response.succeeded == holds)
        #expect(try await store.get("result").entry?.value == [holds ? 1 : 0])
    }

    @Test func compareAndPutLetsOneWin() async throws {
        let store = store
        let winners = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<20 {
                group.addTask {
                    (try? await store.compareAndPut("k", modRevision: 0, [UInt8(index)])) != nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
        let entry = try #require(try await store.get("k").entry)
        #expect(try await store.compareAndPut("k", modRevision: entry.modRevision, [1]) == 3)
        #expect(try await store.compareAndPut("k", modRevision: entry.modRevision, [2]) == nil)
    }

    @Test func aTransactionIsDoneAsAWholeOrNotAtAll() async throws {
        try await store.put("a", [1])
        await #expect(throws: StoreError.leaseNotFound(LeaseID(rawValue: 99))) {
            _ = try await store.transaction(
                success: [
                    .put("b", [1]), .delete("a"), .put("c", [1], lease: LeaseID(rawValue: 99)),
                ])
        }
        #expect(try await store.all(prefix: "").entries.map(\.key) == ["a"])
        #expect(try await store.get("a").revision == 2)
    }

    @Test func prefixesAreBytesAndRangesAreOrdered() async throws {
        for key in ["v/2", "v/1", "v", "v0", "w", "v/é", "v/e\u{301}", "v/zz", "\u{10FFFF}"] {
            try await store.put(key, [])
        }
        let keys = try await store.range(prefix: "v/").entries.map { Array($0.key.utf8) }
        #expect(keys == ["v/1", "v/2", "v/e\u{301}", "v/zz", "v/é"].map { Array($0.utf8) })
        #expect(try await store.range(prefix: "").entries.count == 9)
        let first = try await store.range(prefix: "v/", limit: 2)
        #expect(first.more)
        let rest = try await store.range(prefix: "v/", after: "v/2", limit: 100)
        #expect(!rest.more)
        #expect(rest.entries.count == 3)
        #expect(try await store.range(prefix: "v/", after: "a", limit: 100).entries.count == 5)
        let gone = try await store.transaction(success: [.deletePrefix("v/")])
        #expect(gone.results == [.deleted(keys: 5)])
        #expect(try await store.range(prefix: "v").entries.map(\.key) == ["v", "v0"])
        #expect(
            try await store.transaction(success: [.deletePrefix("")]).results
                == [.deleted(keys: 4)])
    }

    @Test func largeRangesComeInPages() async throws {
        let value = [UInt8](repeating: 7, count: StoreLimits.valueBytes)
        for index in 0..<12 { try await store.put("big/\(index + 10)", value) }
        let first = try await store.range(prefix: "big/")
        #expect(first.more)
        #expect(first.entries.count == 7)
        let all = try await store.all(prefix: "big/")
        #expect(all.entries.map(\.key) == (10..<22).map { "big/\($0)" })
        let keys = (10..<22).map { StoreOperation.get("big/\($0)") }
        await #expect(throws: StoreError.self) { _ = try await store.transaction(success: keys) }
    }

    @Test func limitsAndNonsenseAreRefused() async throws {
        let long = String(repeating: "k", count: StoreLimits.keyBytes)
        try await store.put(long, [])
        try await store.put("v", [UInt8](repeating: 0, count: StoreLimits.valueBytes))
        let refused: [[StoreOperation]] = [
            [.put("", [])], [.put(long + "k", [])], [.put("a\u{0}b", [])], [.get("a\nb")],
            [.put("a", [UInt8](repeating: 0, count: StoreLimits.valueBytes + 1))],
            [.put("a", []), .put("a", [])], [.put("a", []), .delete("a")],
            [.put("a/b", []), .deletePrefix("a/")],
            (0...StoreLimits.operations).map { .get("k\($0)") },
            (0..<2).map { .put("k\($0)", [UInt8](repeating: 0, count: 700_000)) },
        ]
        for operations in refused {
            await #expect(throws: StoreError.self) {
                _ = try await store.transaction(success: operations)
            }
        }
        await #expect(throws: StoreError.self) { _ = try await store.grantLease(ttlSeconds: 0) }
        await #expect(throws: StoreError.self) { _ = try await store.range(prefix: "", limit: 0) }
        #expect(try await store.get("a").revision == 3)
    }

    @Test func jsonComesBackAsItWent() async throws {
        struct Node: Codable, Equatable, Sendable {
            var name: String
            var slot: Int
        }
        try await store.putJSON("node", Node(name: "n1", slot: 3))
        let found = try #require(try await store.getJSON("node", as: Node.self))
        #expect(found.value == Node(name: "n1", slot: 3))
        #expect(found.entry.value == Array(#"{"name":"n1","slot":3}"#.utf8))
        #expect(try await store.getJSON("none", as: Node.self)?.entry == nil)
        #expect(
            try await store.compareAndPutJSON(
                "node", modRevision: found.entry.modRevision, Node(name: "n2", slot: 4)) == 3)
    }
}
