import ClusterStore
import Testing

@Suite struct LeaseTests {
    let time = ManualClock()

    func store(_ directory: TestDirectory? = nil) throws -> SQLiteStoreEngine {
        var options = SQLiteStoreEngine.Options()
        options.clock = time.clock
        options.expiryInterval = nil
        options.logger.logLevel = .critical
        guard let directory else { return try .inMemory(options: options) }
        return try .open(path: directory.database, options: options)
    }

    @Test func expiryDeletesTheKeysInOneTransactionThatWatchersSee() async throws {
        let store = try store()
        let lease = try await store.grantLease(ttlSeconds: 10)
        #expect(lease.ttlSeconds == 10)
        #expect(lease.revision == 1)
        try await store.put("m/a", [1], lease: lease.lease)
        try await store.put("m/b", [2], lease: lease.lease)
        try await store.put("m/c", [3])
        time.advance(seconds: 9.9)
        await store.expireLeases()
        #expect(try await store.range(prefix: "m/").entries.count == 3)
        time.advance(seconds: 0.2)
        await store.expireLeases()
        let left = try await store.range(prefix: "m/")
        #expect(left.entries.map(\.key) == ["m/c"])
        #expect(left.revision == 5)
        var changes = store.watch(prefix: "m/", fromRevision: 5).transactions.makeAsyncIterator()
        let events = try #require(try await changes.next())
        #expect(events.map(\.key) == ["m/a", "m/b"])
        #expect(events.allSatisfy { $0.kind == .delete && $0.revision == 5 })
        #expect(events.first?.previous?.value == [1])
    }

    @Test func renewalGivesTheFullTimeAgainAndEndsWithTheLease() async throws {
        let store = try store()
        let lease = try await store.grantLease(ttlSeconds: 10).lease
        try await store.put("k", [1], lease: lease)
        for _ in 0..<5 {
            time.advance(seconds: 8)
            #expect(try await store.keepAlive(lease).ttlSeconds == 10)
            await store.expireLeases()
        }
        #expect(try await store.get("k").entry != nil)
        time.advance(seconds: 10)
        // Over is over, also before anybody looked.
        await #expect(throws: StoreError.leaseNotFound(lease)) {
            _ = try await store.keepAlive(lease)
        }
        await #expect(throws: StoreError.leaseNotFound(lease)) {
            try await store.put("late", [1], lease: lease)
        }
        await store.expireLeases()
        #expect(try await store.get("k").entry == nil)
        let next = try await store.grantLease(ttlSeconds: 10).lease
        #expect(next != lease)
    }

    @Test func revokeAndDetach() async throws {
        let store = try store()
        let lease = try await store.grantLease(ttlSeconds: 10).lease
        try await store.put("a", [1], lease: lease)
        try await store.put("b", [1], lease: lease)
        // A put without a lease detaches, as in etcd.
        try await store.put("b", [2])
        #expect(try await store.revokeLease(lease) == 5)
        #expect(try await store.range(prefix: "").entries.map(\.key) == ["b"])
        await #expect(throws: StoreError.leaseNotFound(lease)) {
            try await store.revokeLease(lease)
        }
        let empty = try await store.grantLease(ttlSeconds: 1).lease
        #expect(try await store.revokeLease(empty) == 5)
    }

    @Test func leasesHaveTheirFullTimeAfterARestart() async throws {
        let directory = try TestDirectory()
        let first = try store(directory)
        let lease = try await first.grantLease(ttlSeconds: 10).lease
        try await first.put("k", [1], lease: lease)
        time.advance(seconds: 9)
        await first.close()
        time.advance(seconds: 100)
        let second = try store(directory)
        time.advance(seconds: 9.5)
        await second.expireLeases()
        #expect(try await second.get("k").entry?.lease == lease)
        time.advance(seconds: 1)
        await second.expireLeases()
        #expect(try await second.get("k").entry == nil)
        #expect(try await second.grantLease(ttlSeconds: 1).lease.rawValue > lease.rawValue)
        await second.close()
    }

    @Test func aLeaseHasABoundedNumberOfKeys() async throws {
        let store = try store()
        let lease = try await store.grantLease(ttlSeconds: 10).lease
        for start in stride(from: 0, to: StoreLimits.leaseKeys, by: 100) {
            _ = try await store.transaction(
                success: (start..<start + 100).map { .put("k\($0)", [], lease: lease) })
        }
        await #expect(throws: StoreError.self) { try await store.put("more", [], lease: lease) }
        #expect(try await store.get("more").entry == nil)
        time.advance(seconds: 11)
        await store.expireLeases()
        #expect(try await store.all(prefix: "").entries.isEmpty)
    }

    @Test func expiryHappensByItself() async throws {
        let store = try SQLiteStoreEngine.inMemory()
        let lease = try await store.grantLease(ttlSeconds: 1).lease
        try await store.put("k", [1], lease: lease)
        for try await event in store.watch(prefix: "k", fromRevision: 3) {
            #expect(event.kind == .delete)
            break
        }
        await store.close()
    }
}
