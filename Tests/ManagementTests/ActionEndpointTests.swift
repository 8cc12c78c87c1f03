import Management
import Synchronization
import Testing

@Suite("Actions, from client to backend and back")
struct ActionEndpointTests {
    @Test func redirectingAndResuming() async throws {
        let backend = FakeBackend()
        let steps = Mutex<[String]>([])
        try await withClient(of: backend) { client in
            try await client.redirectVolume("Volume1", reason: "backup at \"10\" ü") { step in
                steps.withLock { $0.append(step) }
            }
            try await client.redirectVolume("Volume1", reason: nil) { _ in }
            try await client.resumeVolume("Volume1") { step in steps.withLock { $0.append(step) } }
        }
        #expect(
            backend.calls == [
                "redirect Volume1 backup at \"10\" ü", "redirect Volume1 -", "resume Volume1",
            ])
        #expect(
            steps.withLock { $0 } == ["1 of 2 nodes is redirected", "1 of 2 nodes is direct"])
    }

    @Test func moving() async throws {
        let backend = FakeBackend()
        let coordinators = try await withClient(of: backend) { client in
            let first = try await client.moveVolume("Volume1", to: "node2") { _ in }
            let second = try await client.moveVolume("Volume1", to: nil) { _ in }
            return [first.coordinator, second.coordinator]
        }
        #expect(coordinators == ["node2", "node3"])
        #expect(backend.calls == ["move Volume1 node2", "move Volume1 -"])
    }

    @Test func setting() async throws {
        let backend = FakeBackend()
        let volume = try await withClient(of: backend) {
            try await $0.setVolume("Volume1", VolumeSettings(allowUnprovenFailover: true))
        }
        #expect(volume.failover == "Unproven")
        #expect(backend.calls == ["set Volume1 true"])
    }

    @Test func forgetting() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { try await $0.forgetNode("node3") }
        #expect(backend.calls == ["forget node3"])
    }

    @Test func refusalsKeepTheirWords() async throws {
        let error = ManagementError.conflict("node3 is up: stop its daemon first")
        try await withClient(of: FakeBackend(failure: error)) { client in
            await #expect(throws: error) { try await client.forgetNode("node3") }
            await #expect(throws: error) { try await client.moveVolume("v", to: nil) { _ in } }
            await #expect(throws: error) {
                try await client.redirectVolume("v", reason: nil) { _ in }
            }
            await #expect(throws: error) { try await client.resumeVolume("v") { _ in } }
            await #expect(throws: error) { try await client.events(EventRequest()) }
            await #expect(throws: error) { try await client.followEvents(EventRequest()) }
        }
    }

    @Test func wrongArgumentsAreNotSent() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            await #expect(throws: ManagementError.self) {
                try await client.redirectVolume("v", reason: "a\u{1B}[2J") { _ in }
            }
            await #expect(throws: ManagementError.self) { try await client.forgetNode("../x") }
            await #expect(throws: ManagementError.self) {
                try await client.events(EventRequest(limit: 1001))
            }
            await #expect(throws: ManagementError.self) {
                try await client.events(EventRequest(volume: "a&limit=0"))
            }
        }
        #expect(backend.calls.isEmpty)
    }
}
