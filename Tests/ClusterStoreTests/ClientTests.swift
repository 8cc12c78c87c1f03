import Foundation
import Synchronization
import Testing

@testable import ClusterStore

@Suite(.timeLimit(.minutes(2))) struct ClientTests {
    @Test func everythingWorksAcrossTheSocket() async throws {
        try await withServer { _, client in
            #expect(try await client.put("a", [1]) == 2)
            #expect(try await client.get("a").entry?.value == [1])
            #expect(try await client.all(prefix: "").entries.map(\.key) == ["a"])
            let lease = try await client.grantLease(ttlSeconds: 5).lease
            try await client.put("b", [2], lease: lease)
            #expect(try await client.keepAlive(lease).ttlSeconds == 5)
            #expect(try await client.revokeLease(lease) == 4)
            await #expect(throws: StoreError.leaseNotFound(lease)) {
                _ = try await client.keepAlive(lease)
            }
            var events = client.watch(prefix: "b", fromRevision: 1).makeAsyncIterator()
            #expect(try await events.next()?.value == [2])
            #expect(try await events.next()?.kind == .delete)
            let value = [UInt8](repeating: 3, count: StoreLimits.valueBytes)
            try await client.put("large", value)
            #expect(try await client.get("large").entry?.value == value)
            await #expect(throws: StoreError.self) { try await client.put("", []) }
        }
    }

    @Test func manyRequestsAreInFlightAtOnce() async throws {
        try await withServer { _, client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<200 {
                    group.addTask { try await client.put("k\(index)", [1]) }
                }
                try await group.waitForAll()
            }
            let all = try await client.all(prefix: "k")
            #expect(all.entries.count == 200)
            #expect(Set(all.entries.map(\.modRevision)).count == 200)
            #expect(all.revision == 201)
        }
    }

    @Test func itReconnectsAndItsWatchGoesOnWhereItWas() async throws {
        let directory = try TestDirectory()
        var server = try await TestServer.start(directory)
        let client = server.client()
        let seen = Mutex<[StoreRevision]>([])
        let watch = Task {
            for try await event in client.watch(prefix: "w", fromRevision: 1) {
                seen.withLock { $0.append(event.revision) }
            }
        }
        for round in 0..<5 {
            for index in 0..<5 { try await client.put("w\(index)", [UInt8(round)]) }
            await server.stop()
            server = try await TestServer.start(directory)
        }
        try await client.put("w", [9])
        #expect(await eventually { seen.withLock { $0.count } >= 26 })
        #expect(seen.withLock { $0 } == Array(2...27))
        watch.cancel()
        await client.shutdown()
        await #expect(throws: StoreError.closed) { _ = try await client.get("w") }
        await server.stop()
    }

    @Test func withoutAServerRequestsWaitAndThenSayThatNothingWasDone() async throws {
        let directory = try TestDirectory()
        let client = testClient(directory.socket, timeout: .milliseconds(200))
        await #expect {
            try await client.put("a", [1])
        } throws: { error in
            if case StoreError.unavailable = error { true } else { false }
        }
        let patient = testClient(directory.socket)
        let put = Task { try await patient.put("a", [1]) }
        try await Task.sleep(for: .milliseconds(100))
        let server = try await TestServer.start(directory)
        #expect(try await put.value == 2)
        await client.shutdown()
        await patient.shutdown()
        await server.stop()
    }

    @Test func aChangeWithoutAReplyHasAnUnknownOutcomeAReadIsSentAgain() async throws {
        let server = try await TestServer.start()
        let proxy = try await StoreProxy.start(to: server.directory.socket)
        let client = testClient(proxy.path)
        try await client.put("a", [1])
        // The request goes through, the reply is lost with the connection.
        proxy.losesReplies(true)
        await #expect {
            try await client.put("a", [2])
        } throws: { error in
            if case StoreError.outcomeUnknown = error { true } else { false }
        }
        await #expect {
            try await client.revokeLease(LeaseID(rawValue: 9))
        } throws: { error in
            if case StoreError.outcomeUnknown = error { true } else { false }
        }
        let read = Task { try await client.get("a") }
        let grant = Task { try await client.grantLease(ttlSeconds: 10) }
        #expect(await eventually { proxy.cuts > 5 })
        proxy.losesReplies(false)
        #expect(try await read.value.entry?.value == [2])
        #expect(try await grant.value.ttlSeconds == 10)
        await client.shutdown()
        await proxy.stop()
        await server.stop()
    }

    @Test func aServerThatDoesNotAnswerRunsIntoTheTimeOut() async throws {
        let server = try await TestServer.start()
        let proxy = try await StoreProxy.start(to: server.directory.socket)
        let client = testClient(proxy.path, timeout: .milliseconds(300))
        #expect(await eventually { (try? await client.get("a")) != nil })
        proxy.holdsReplies(true)
        await #expect {
            _ = try await client.get("a")
        } throws: { error in
            if case StoreError.timedOut = error { true } else { false }
        }
        await #expect {
            try await client.put("a", [2])
        } throws: { error in
            if case StoreError.outcomeUnknown = error { true } else { false }
        }
        let cancelled = Task { try await client.get("a") }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        await client.shutdown()
        await proxy.stop()
        await server.stop()
    }

    @Test func anotherStoreOrAnOlderCopyIsNoticed() async throws {
        for isCopy in [true, false] {
            let directory = try TestDirectory()
            var server = try await TestServer.start(directory)
            let client = server.client()
            try await client.put("a", [1])
            await server.stop()
            let copy = try Data(contentsOf: URL(fileURLWithPath: directory.database))
            server = try await TestServer.start(directory)
            try await client.put("a", [2])
            await server.stop()
            if isCopy {
                try copy.write(to: URL(fileURLWithPath: directory.database))
            } else {
                try FileManager.default.removeItem(atPath: directory.database)
            }
            server = try await TestServer.start(directory)
            await #expect {
                _ = try await client.get("a")
            } throws: { error in
                if case StoreError.storeReplaced = error { true } else { false }
            }
            await client.shutdown()
            await server.stop()
        }
    }
}
