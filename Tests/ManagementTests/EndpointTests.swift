import Management
import Synchronization
import Testing

@Suite("Every endpoint, from client to backend and back")
struct EndpointTests {
    @Test func reading() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            let cluster = try await client.cluster()
            #expect(try await cluster == backend.cluster())
            let nodes = try await client.nodes()
            #expect(try await nodes == backend.nodes())
            let volumes = try await client.volumes()
            #expect(try await volumes == backend.volumes())
            let volume = try await client.volume(named: "Volume1")
            #expect(volume == FakeBackend.volume("Volume1"))
            let volumeStates = try await client.volumeStates()
            #expect(try await volumeStates == backend.volumeStates())
            let statistics = try await client.statistics()
            #expect(try await statistics == backend.statistics())
        }
    }

    @Test func fileMapPassesThePage() async throws {
        let backend = FakeBackend()
        let page = try await withClient(of: backend) { client in
            try await client.fileMap(
                FileMapRequest(path: "/clusterstorage/Volume1/a \"b\" ü", offsetBytes: 4096))
        }
        #expect(page.nextOffsetBytes == 8192)
        #expect(page.extents.map(\.lunOffsetBytes) == [4096])
        #expect(backend.calls == ["map /clusterstorage/Volume1/a \"b\" ü 4096 32768"])
    }

    @Test func renaming() async throws {
        let backend = FakeBackend()
        let volume = try await withClient(of: backend) {
            try await $0.renameVolume("Volume1", to: "images")
        }
        #expect(volume.name == "images")
        #expect(backend.calls == ["rename Volume1 images"])
    }

    @Test func addingTellsItsStepsInOrder() async throws {
        let backend = FakeBackend()
        let steps = Mutex<[String]>([])
        let volume = try await withClient(of: backend) { client in
            try await client.addVolume(
                VolumeAddRequest(
                    device: "/dev/sdb", name: "images", filesystem: .ext4, format: true)
            ) { step in steps.withLock { $0.append(step) } }
        }
        #expect(volume == FakeBackend.volume("images"))
        #expect(steps.withLock { $0 } == ["looking at /dev/sdb", "second step"])
        #expect(backend.calls == ["add /dev/sdb images ext4 true"])
    }

    @Test func addingWithDefaults() async throws {
        let backend = FakeBackend()
        _ = try await withClient(of: backend) {
            try await $0.addVolume(VolumeAddRequest(device: "/dev/sdb")) { _ in }
        }
        #expect(backend.calls == ["add /dev/sdb - - false"])
    }

    @Test func removing() async throws {
        let backend = FakeBackend()
        let steps = Mutex<[String]>([])
        try await withClient(of: backend) { client in
            try await client.removeVolume("Volume1") { step in steps.withLock { $0.append(step) } }
        }
        #expect(steps.withLock { $0 } == ["detaching Volume1"])
        #expect(backend.calls == ["remove Volume1"])
    }

    @Test func manyClientsAtOnce() async throws {
        let backend = FakeBackend()
        try await withClient(of: backend) { client in
            try await withThrowingTaskGroup(of: Int.self) { tasks in
                for _ in 0..<100 {
                    tasks.addTask { try await client.volumes().count }
                }
                for try await count in tasks { #expect(count == 1) }
            }
        }
        #expect(backend.calls.count == 100)
    }
}
