import Foundation
import Management
import Testing

@Suite("The socket's place in the file system", .timeLimit(.minutes(1)))
struct SocketTests {
    @Test func isForItsOwnerAloneAndGoesAway() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/run/covold.sock"
            try await withServer(FakeBackend(), at: path) {
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
                #expect(attributes[.type] as? FileAttributeType == .typeSocket)
                let names = try FileManager.default.contentsOfDirectory(
                    atPath: directory + "/run")
                #expect(names == ["covold.sock"])
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: directory + "/run")
            #expect(left.isEmpty)
        }
    }

    @Test func aLiveOneIsRefused() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            try await withServer(FakeBackend(), at: path) {
                let error = await #expect(throws: ManagementSocketError.self) {
                    try await withServer(FakeBackend(), at: path) {}
                }
                #expect(error?.code == .inUse)
                // The first one is unharmed.
                let volumes = try await ManagementClient.withClient(socketPath: path) {
                    try await $0.volumes()
                }
                #expect(volumes.count == 1)
            }
        }
    }

    @Test func aStaleOneIsReplaced() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            // A socket that nobody listens on any more is what a killed daemon leaves.
            let python = "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["python3", "-c", python, path]
            try process.run()
            process.waitUntilExit()
            try #require(FileManager.default.fileExists(atPath: path))
            try await withServer(FakeBackend(), at: path) {
                let volumes = try await ManagementClient.withClient(socketPath: path) {
                    try await $0.volumes()
                }
                #expect(volumes.count == 1)
            }
        }
    }

    @Test func aFileIsNeverReplaced() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory + "/covold.sock"
            try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
            let error = await #expect(throws: ManagementSocketError.self) {
                try await withServer(FakeBackend(), at: path) {}
            }
            #expect(error?.code == .notSocket)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("precious".utf8))
        }
    }

    @Test func aPathThatIsTooLong() async throws {
        let path = NSTemporaryDirectory() + String(repeating: "x", count: 120)
        let error = await #expect(throws: ManagementSocketError.self) {
            try await withServer(FakeBackend(), at: path) {}
        }
        #expect(error?.code == .pathTooLong)
    }
}
