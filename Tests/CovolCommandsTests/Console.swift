import Foundation
import Logging
import Management
import ServiceLifecycle
import Synchronization

@testable import CovolCommands

/// What a command line printed, and its exit status.
struct Outcome: Sendable, Equatable {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a command line as `covol` would, in this process.
func covol(_ arguments: String...) async -> Outcome {
    await covol(arguments)
}

func covol(_ arguments: [String]) async -> Outcome {
    let lines = Mutex((output: "", errors: ""))
    let output = CommandOutput(
        write: { text in lines.withLock { $0.output += text + "\n" } },
        error: { text in lines.withLock { $0.errors += text + "\n" } })
    let status = await CommandRunner.run(
        CovolCommand.self, arguments: arguments, output: output)
    return lines.withLock { Outcome(status: status, output: $0.output, errors: $0.errors) }
}

/// A directory of a test's own, removed with all that is in it.
func withTemporaryDirectory(_ body: (String) async throws -> Void) async throws {
    let path = NSTemporaryDirectory() + "covol-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

/// Serves a backend on a socket while the body runs.
func withDaemon(
    _ backend: FakeBackend = FakeBackend(),
    _ body: @Sendable (_ socketPath: String) async throws -> Void
) async throws {
    try await withTemporaryDirectory { directory in
        let path = directory + "/covold.sock"
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (listening, source) = AsyncStream.makeStream(of: Void.self)
        let server = ManagementServer(
            socketPath: path, backend: backend, logger: logger,
            onListening: { source.finish() })
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: server)], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { source.finish() }
                try await group.run()
            }
            for await _ in listening {}
            do {
                try await body(path)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}
