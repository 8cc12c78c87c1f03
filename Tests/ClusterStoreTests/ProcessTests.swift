import ClusterStore
import Foundation
import Glibc
import Synchronization
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct ProcessTests {
    @Test func sigtermEndsItCleanly() async throws {
        let directory = try TestDirectory()
        let store = try #require(try await StoreProcess.start(directory))
        let client = testClient(directory.socket)
        try await client.put("a", [1])
        store.signal(SIGTERM)
        #expect(store.ended() == 0)
        #expect(!FileManager.default.fileExists(atPath: directory.socket))
        #expect(!FileManager.default.fileExists(atPath: directory.database + "-wal"))
        await client.shutdown()
    }

    @Test func aDamagedDatabaseIsRefusedWithAMessage() async throws {
        let directory = try TestDirectory()
        try Data((0..<9000).map { UInt8(truncatingIfNeeded: $0) })
            .write(to: URL(fileURLWithPath: directory.database))
        let store = try StoreProcess(directory)
        #expect(await !store.isReady())
        #expect(store.ended() == 1)
        let text = String(
            decoding: store.errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(text.contains("cannot be used") && text.contains(directory.database), "\(text)")
    }

    @Test func aSecondProcessOnTheSameDatabaseIsRefused() async throws {
        let directory = try TestDirectory()
        let first = try #require(try await StoreProcess.start(directory))
        let second = try StoreProcess(directory)
        #expect(await !second.isReady())
        #expect(second.ended() == 1)
        let client = testClient(directory.socket)
        try await client.put("a", [1])
        await client.shutdown()
        first.kill()
    }

    @Test func aStoppedProcessIsWaitedForAndGoesOn() async throws {
        let directory = try TestDirectory()
        let store = try #require(try await StoreProcess.start(directory))
        let patient = testClient(directory.socket)
        try await patient.put("a", [1])
        let client = testClient(directory.socket, timeout: .milliseconds(300))
        #expect(await eventually { (try? await client.get("a")) != nil })
        store.signal(SIGSTOP)
        // The signal takes effect when the kernel gets to it.
        let isTimedOut = await eventually {
            do {
                _ = try await client.get("a")
                return false
            } catch {
                if case StoreError.timedOut = error { return true } else { return false }
            }
        }
        #expect(isTimedOut)
        let put = Task { try await patient.put("a", [2]) }
        try await Task.sleep(for: .milliseconds(100))
        store.signal(SIGCONT)
        #expect(try await put.value == 3)
        #expect(try await patient.get("a").entry?.value == [2])
        await client.shutdown()
        await patient.shutdown()
        store.kill()
    }

    @Test func killedAtRandomMomentsItLosesNothingAcknowledged() async throws {
        var random = SeededGenerator.announced("killedAtRandomMoments")
        let directory = try TestDirectory()
        var store = try #require(try await StoreProcess.start(directory))
        let client = testClient(directory.socket, timeout: .seconds(60))
        let ledgers = LedgerSet(count: 4)
        let seen = Mutex<[StoreRevision]>([])
        let watch = Task {
            for try await events in client.watch(prefix: "", fromRevision: 2).transactions {
                seen.withLock { $0.append(events[0].revision) }
            }
        }
        let writers = ledgers.startWriting(client)
        for _ in 0..<30 {
            let lifeMilliseconds = Int.random(in: 1...80, using: &random)
            try await Task.sleep(for: .milliseconds(lifeMilliseconds))
            store.kill()
            // Between the kill and the next start nobody can have acknowledged more.
            let before = ledgers.acknowledged
            store = try #require(try await StoreProcess.start(directory))
            try await ledgers.check(client, atLeast: before)
        }
        ledgers.stop()
        for writer in writers { try await writer.value }
        try await ledgers.check(client, atLeast: ledgers.acknowledged)
        // The watch saw each transaction once, in order, through all the restarts.
        let newest = try await client.get("none").revision
        #expect(await eventually { seen.withLock { $0.last } == newest })
        #expect(seen.withLock { $0 } == Array(2...newest))
        #expect(ledgers.acknowledged.reduce(0, +) > 30)
        print("acknowledged \(ledgers.acknowledged), unknown \(ledgers.unknown)")
        watch.cancel()
        await client.shutdown()
        store.signal(SIGTERM)
        #expect(store.ended() == 0)
    }
}
