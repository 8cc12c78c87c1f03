import Management
import Testing

private struct Unforeseen: Error, CustomStringConvertible {
    var description: String { "the disk has eaten it" }
}

@Suite("Errors keep their code, message and status")
struct ErrorTests {
    @Test(arguments: [
        ManagementError.conflict("the name is taken"), .refused("it is LVM"), .unavailable("later"),
        .volumeNotFound("x"), .internal("why"),
        ManagementError(code: "of-later-versions", message: "words", status: 418),
    ])
    func ofAnOrdinaryRequest(error: ManagementError) async throws {
        try await withClient(of: FakeBackend(failure: error)) { client in
            await #expect(throws: error) { try await client.volumes() }
        }
    }

    @Test(arguments: [ManagementError.refused("it is LVM"), .conflict("a\nnewline")])
    func ofAStream(error: ManagementError) async throws {
        try await withClient(of: FakeBackend(failure: error)) { client in
            await #expect(throws: error) {
                try await client.addVolume(VolumeAddRequest(device: "/dev/sdb")) { _ in }
            }
            await #expect(throws: error) { try await client.removeVolume("Volume1") { _ in } }
        }
    }

    @Test func anythingElseIsInternal() async throws {
        try await withClient(of: FakeBackend(failure: Unforeseen())) { client in
            await #expect(throws: ManagementError.internal("the disk has eaten it")) {
                try await client.nodes()
            }
        }
    }

    @Test func theBodyOnTheWire() async throws {
        try await withRawServer(FakeBackend(failure: ManagementError.conflict("taken"))) { path in
            let answer = try await RawAnswer.request(.GET, "/v1/volumes", socketPath: path)
            #expect(answer.status == 409)
            #expect(answer.body == #"{"error":{"code":"conflict","message":"taken"}}"#)
        }
    }

    @Test func aMissingDaemonIsTold() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/none.sock"
            let error = await #expect(throws: ManagementUnreachable.self) {
                try await ManagementClient.withClient(socketPath: path) { try await $0.volumes() }
            }
            #expect(error?.description.contains("systemctl start covold") == true)
            #expect(error?.description.contains(path) == true)
        }
    }

    @Test func aSocketPathThatIsTooLong() async throws {
        let path = "/tmp/" + String(repeating: "x", count: 200)
        await #expect(throws: ManagementUnreachable.self) {
            try await ManagementClient.withClient(socketPath: path) { try await $0.volumes() }
        }
    }
}

/// Runs a server and gives the path of its socket.
@discardableResult
func withRawServer<Value: Sendable>(
    _ backend: some ManagementBackend, _ body: @escaping @Sendable (String) async throws -> Value
) async throws -> Value {
    try await withTemporaryDirectory { directory in
        let path = directory + "/covold.sock"
        return try await withServer(backend, at: path) { try await body(path) }
    }
}
