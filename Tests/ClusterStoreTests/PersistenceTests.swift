import ClusterStore
import Foundation
import GRDB
import Synchronization
import Testing

@Suite struct PersistenceTests {
    @Test func everythingIsThereAfterAReopen() async throws {
        let directory = try TestDirectory()
        let first = try SQLiteStoreEngine.open(path: directory.database)
        for index in 0..<50 { try await first.put("k\(index % 7)", [UInt8(index)]) }
        let before = try await first.range(prefix: "")
        await first.close()
        await #expect(throws: StoreError.closed) { _ = try await first.get("k1") }
        let second = try SQLiteStoreEngine.open(path: directory.database)
        #expect(try await second.range(prefix: "") == before)
        var events = second.watch(prefix: "k3", fromRevision: 1).makeAsyncIterator()
        #expect(try await events.next()?.value == [3])
        await second.close()
    }

    @Test func onlyOneHoldsTheDatabase() async throws {
        let directory = try TestDirectory()
        let first = try SQLiteStoreEngine.open(path: directory.database)
        #expect {
            _ = try SQLiteStoreEngine.open(path: directory.database)
        } throws: { error in
            if case StoreError.inUse = error { true } else { false }
        }
        await first.close()
    }

    @Test func aFullDatabaseStillTakesDeletesAndExpiries() async throws {
        let time = ManualClock()
        var options = SQLiteStoreEngine.Options()
        options.databaseBytes = 4 << 20
        options.historyBytes = 1 << 20
        options.clock = time.clock
        options.expiryInterval = nil
        let store = try SQLiteStoreEngine.inMemory(options: options)
        let lease = try await store.grantLease(ttlSeconds: 1).lease
        try await store.put("leased", [1], lease: lease)
        let value = [UInt8](repeating: 1, count: 500_000)
        var count = 0
        await #expect {
            for index in 0..<100 {
                try await store.put("k\(index)", value)
                count = index + 1
            }
        } throws: { error in
            if case StoreError.storageFull = error { true } else { false }
        }
        #expect(count > 2)
        let before = try await store.all(prefix: "k")
        #expect(before.entries.count == count)
        time.advance(seconds: 2)
        await store.expireLeases()
        #expect(try await store.get("leased").entry == nil)
        _ = try await store.transaction(success: [.deletePrefix("k")])
        try await store.put("k", value)
    }

    @Test func aDiskThatFailsStopsTheStore() async throws {
        let directory = try TestDirectory()
        var options = SQLiteStoreEngine.Options()
        options.logger = LogRecorder().logger
        let value = [UInt8](repeating: 1, count: 500_000)
        let first = try SQLiteStoreEngine.open(path: directory.database, options: options)
        for index in 0..<20 { try await first.put("k\(index)", value) }
        await first.close()
        let store = try SQLiteStoreEngine.open(path: directory.database, options: options)
        let reported = Mutex<[StoreError]>([])
        store.onFailure { error in reported.withLock { $0.append(error) } }
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory.database))
        let size = try file.seekToEnd()
        try file.seek(toOffset: 0)
        try file.write(contentsOf: Data(repeating: 0xA5, count: Int(size)))
        try file.close()
        await #expect {
            for index in 0..<20 { _ = try await store.get("k\(index)") }
        } throws: { error in
            if case StoreError.storeFailed = error { true } else { false }
        }
        #expect(reported.withLock { $0.count } == 1)
        await #expect {
            try await store.put("k", [1])
        } throws: { error in
            if case StoreError.storeFailed = error { true } else { false }
        }
        await store.close()
    }

    /// Each changes a good database so that it must not be used any more.
    enum Damage: CaseIterable {
        case flippedValue, flippedHistory, revisionBack, missingHistory, foreign, newer, noise,
            truncated, missingLease, flippedPages
    }

    @Test(arguments: Damage.allCases)
    func aDamagedDatabaseStopsTheStart(_ damage: Damage) async throws {
        let directory = try TestDirectory()
        let engine = try SQLiteStoreEngine.open(path: directory.database)
        let lease = try await engine.grantLease(ttlSeconds: 60).lease
        try await engine.put("leased", [1], lease: lease)
        for index in 0..<200 {
            try await engine.put("key\(index)", [UInt8](repeating: 5, count: 200))
        }
        await engine.close()
        try apply(damage, directory.database)
        #expect {
            _ = try SQLiteStoreEngine.open(path: directory.database)
        } throws: { error in
            guard case StoreError.damaged(let text) = error else { return false }
            return text.contains(directory.database) && text.contains("Put back")
        }
    }

    private func apply(_ damage: Damage, _ path: String) throws {
        let statements: [Damage: String] = [
            .flippedValue: "UPDATE entries SET value = x'06' WHERE key = CAST('key9' AS BLOB)",
            .flippedHistory: "UPDATE history SET event = zeroblob(20) WHERE revision = 20",
            .revisionBack: "UPDATE header SET revision = revision - 1",
            .missingHistory: "DELETE FROM history WHERE revision = 50",
            .foreign: "PRAGMA application_id = 5",
            .newer: "PRAGMA user_version = 99",
            .missingLease: "DELETE FROM leases",
        ]
        if let sql = statements[damage] {
            let queue = try DatabaseQueue(path: path)
            try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
            try queue.close()
            return
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        switch damage {
        case .noise: bytes = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
        case .truncated: bytes = bytes.prefix(bytes.count / 2)
        case .flippedPages:
            for page in 1..<bytes.count / 4096 { bytes[page * 4096 + 5] ^= 0xFF }
        default: Issue.record("no way to make \(damage)")
        }
        try bytes.write(to: URL(fileURLWithPath: path))
    }
}
