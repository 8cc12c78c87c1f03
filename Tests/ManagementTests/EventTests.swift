import Management
import Synchronization
import Testing

@Suite("Events, listed and followed", .timeLimit(.minutes(1)))
struct EventTests {
    @Test func listing() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            let all = try await client.events(EventRequest())
            #expect(all == [FakeBackend.event(3), FakeBackend.event(7)])
            let late = try await client.events(
                EventRequest(afterSequence: 3, limit: 5, volume: "Volume1"))
            #expect(late.map(\.sequence) == [7])
            #expect(try await client.events(EventRequest(limit: 1)).map(\.sequence) == [7])
            #expect(try await client.events(EventRequest(volume: "other")).isEmpty)
        }
        #expect(
            backend.calls == [
                "events 0 100 -", "events 3 5 Volume1", "events 0 1 -", "events 0 100 other",
            ])
    }

    /// What was, then what happens, while it happens.
    @Test func following() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            let stream = try await client.followEvents(EventRequest(limit: 1))
            var iterator = stream.makeAsyncIterator()
            #expect(try await iterator.next()?.sequence == 7)
            backend.happen(FakeBackend.event(9, kind: .pathBack))
            let event = try await iterator.next()
            #expect(event == FakeBackend.event(9, kind: .pathBack))
        }
    }

    @Test func manyEventsArriveInOrder() async throws {
        let backend = FakeBackend()
        let received = try await withClient(of: backend) { client in
            let stream = try await client.followEvents(EventRequest(limit: 0))
            for number in 1...500 { backend.happen(FakeBackend.event(UInt64(number))) }
            var received: [UInt64] = []
            for try await event in stream {
                received.append(event.sequence)
                if received.count == 500 { break }
            }
            return received
        }
        #expect(received == Array(1...500))
    }

    @Test func theBackendsErrorEndsIt() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            let stream = try await client.followEvents(EventRequest(limit: 0))
            let error = ManagementError.unavailable("the store does not answer")
            for follower in backend.state.withLock({ $0.followers }) {
                follower.finish(throwing: error)
            }
            await #expect(throws: error) { for try await _ in stream {} }
        }
    }

    /// A daemon that shuts down does not wait for those who follow, and tells them.
    @Test func shutdownEndsIt() async throws {
        let backend = FakeBackend()
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            let client = ManagementClient(socketPath: path)
            let stream = try await withServer(backend, at: path) {
                let stream = try await client.followEvents(EventRequest())
                return stream
            }
            var sequences: [UInt64] = []
            let error = await #expect(throws: ManagementError.self) {
                for try await event in stream { sequences.append(event.sequence) }
            }
            #expect(error?.code == "unavailable")
            #expect(sequences == [3, 7])
            try await client.shutdown()
        }
        #expect(backend.state.withLock { $0.endedFollowers } == 1)
    }

    /// Who goes away is noticed, and the backend's stream ended.
    @Test func aFollowerThatGoesAwayIsForgotten() async throws {
        let backend = FakeBackend()
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            try await withServer(backend, at: path) {
                try await ManagementClient.withClient(socketPath: path) { client in
                    for try await _ in try await client.followEvents(EventRequest()) { break }
                }
                let start = ContinuousClock.now
                while backend.state.withLock({ $0.endedFollowers }) == 0 {
                    try #require(ContinuousClock.now - start < .seconds(40))
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
        }
    }
}
