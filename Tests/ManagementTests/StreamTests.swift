import Foundation
import Management
import Testing

/// A gate that is opened once; waiting at an open gate does not wait.
private actor Gate {
    private var isOpen = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func open() {
        isOpen = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    func pass() async {
        guard !isOpen else { return }
        await withCheckedContinuation { waiting.append($0) }
    }
}

@Suite("The progress stream", .timeLimit(.minutes(1)))
struct StreamTests {
    @Test func itsLines() async throws {
        try await withRawServer(FakeBackend()) { path in
            let answer = try await RawAnswer.request(
                .POST, "/v1/volumes", body: #"{"device":"/dev/sdb"}"#, socketPath: path)
            let lines = answer.body.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(answer.status == 200)
            #expect(lines.count == 4)
            #expect(lines[0] == #"{"event":"progress","message":"looking at /dev/sdb"}"#)
            #expect(lines[2].hasPrefix(#"{"event":"result","volume":{"coordinator":"node1","#))
            #expect(lines[3] == "")
        }
    }

    @Test func itsErrorLine() async throws {
        try await withRawServer(FakeBackend(failure: ManagementError.refused("LVM"))) { path in
            let answer = try await RawAnswer.request(
                .DELETE, "/v1/volumes/Volume1", socketPath: path)
            #expect(answer.status == 200)
            #expect(
                answer.body == """
                    {"event":"progress","message":"detaching Volume1"}
                    {"error":{"code":"refused","message":"LVM"},"event":"error","status":422}

                    """)
        }
    }

    /// The first message arrives while the work still runs, which waits for it.
    @Test func progressIsNotHeldBack() async throws {
        let gate = Gate()
        let backend = FakeBackend(whileAdding: { await gate.pass() })
        let volume = try await withClient(of: backend) { client in
            try await client.addVolume(VolumeAddRequest(device: "/dev/sdb")) { _ in
                await gate.open()
            }
        }
        #expect(volume.name == "Volume2")
    }

    /// A client that goes away does not cancel the work, and the server waits for its end.
    @Test func workOutlivesItsClient() async throws {
        let gate = Gate()
        let seen = Gate()
        let backend = FakeBackend(whileAdding: {
            await gate.pass()
            // A cancelled task's sleep ends at once, with an error.
            do { try await Task.sleep(for: .milliseconds(50)) } catch { Issue.record(error) }
        })
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            try await withServer(backend, at: path) {
                let task = Task {
                    try await ManagementClient.withClient(socketPath: path) { client in
                        try await client.addVolume(VolumeAddRequest(device: "/dev/sdb")) { _ in
                            await seen.open()
                        }
                    }
                }
                await seen.pass()
                task.cancel()
                _ = await task.result
                #expect(backend.calls.isEmpty)
                await gate.open()
            }
        }
        #expect(backend.state.withLock { $0.finishedAdds } == 1)
    }
}
