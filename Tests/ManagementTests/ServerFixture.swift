import AsyncHTTPClient
import Foundation
import Logging
import Management
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Testing

/// A directory of a test's own, removed with all that is in it.
@discardableResult
func withTemporaryDirectory<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let path = NSTemporaryDirectory() + "mgmt-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

func quietLogger() -> Logger {
    Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// Runs a server on a socket until the body is done, then shuts it down gracefully.
@discardableResult
func withServer<Value: Sendable>(
    _ backend: some ManagementBackend, at socketPath: String,
    _ body: @Sendable () async throws -> Value
) async throws -> Value {
    let (listening, source) = AsyncStream.makeStream(of: Void.self)
    let server = ManagementServer(
        socketPath: socketPath, backend: backend, logger: quietLogger(),
        eventHeartbeat: .milliseconds(100),
        onListening: { source.yield() })
    let group = ServiceGroup(
        configuration: .init(services: [.init(service: server)], logger: quietLogger()))
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { source.finish() }
            try await group.run()
        }
        var iterator = listening.makeAsyncIterator()
        guard await iterator.next() != nil else {
            try await tasks.waitForAll()
            throw CancellationError()
        }
        do {
            let value = try await body()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return value
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
    }
}

/// Runs a server and a client of it.
@discardableResult
func withClient<Value: Sendable>(
    of backend: some ManagementBackend,
    _ body: @escaping @Sendable (ManagementClient) async throws -> Value
) async throws -> Value {
    try await withTemporaryDirectory { directory in
        let path = directory + "/covold.sock"
        return try await withServer(backend, at: path) {
            try await ManagementClient.withClient(socketPath: path, body)
        }
    }
}

/// An HTTP answer as bytes, for what `ManagementClient` would not send or does not show.
struct RawAnswer {
    var status: UInt
    var body: String

    static func request(
        _ method: HTTPMethod, _ uri: String, body: String? = nil, socketPath: String
    ) async throws -> RawAnswer {
        let url = try #require(URL(httpURLWithSocketPath: socketPath, uri: uri))
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = method
        request.headers.add(name: "Host", value: "localhost")
        request.headers.add(name: "Connection", value: "close")
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        return RawAnswer(status: response.status.code, body: String(buffer: bytes))
    }
}
