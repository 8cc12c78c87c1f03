import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// The daemon's backend as seen from the other end of its socket.
///
/// Methods throw what the daemon answered as `ManagementError`, `ManagementUnreachable` where there
/// is no daemon, and `ManagementError` of code `bad-answer`, `timeout` or `interrupted` where the
/// answer is not of this API, late, or cut short.
public final class ManagementClient: ManagementBackend {
    public let socketPath: String
    private let http: HTTPClient

    /// Whoever makes one calls `shutdown`; `withClient` does both.
    public init(socketPath: String) {
        self.socketPath = socketPath
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        // A missing daemon is told at once, not after ten seconds of attempts.
        configuration.connectionPool.retryConnectionEstablishment = false
        http = HTTPClient(
            eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: configuration)
    }

    public func shutdown() async throws {
        try await http.shutdown()
    }

    /// Runs a body with a client, and shuts the client down.
    public static func withClient<Value>(
        socketPath: String, _ body: (ManagementClient) async throws -> Value
    ) async throws -> Value {
        let client = ManagementClient(socketPath: socketPath)
        do {
            let value = try await body(client)
            try await client.shutdown()
            return value
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    public func cluster() async throws -> ClusterSummary { try await get("cluster") }

    public func nodes() async throws -> [NodeSummary] { try await get("nodes") }

    public func volumes() async throws -> [VolumeSummary] { try await get("volumes") }

    public func volume(named name: String) async throws -> VolumeSummary {
        try VolumeName.validate(name)
        return try await get("volumes/\(name)")
    }

    public func volumeStates() async throws -> [VolumeNodeState] { try await get("states") }

    public func statistics() async throws -> [VolumeStatistics] { try await get("stats") }

    public func fileMap(_ request: FileMapRequest) async throws -> FileMapPage {
        try await decode(await send(.POST, "file-map", body: ManagementCoding.encode(request)))
    }

    public func renameVolume(_ name: String, to newName: String) async throws -> VolumeSummary {
        try VolumeName.validate(name)
        let body = try ManagementCoding.encode(VolumeRenameRequest(name: newName))
        return try await decode(await send(.POST, "volumes/\(name)/rename", body: body))
    }

    public func addVolume(
        _ request: VolumeAddRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        let body = try ManagementCoding.encode(request)
        let volume = try await result(
            of: send(.POST, "volumes", body: body, seconds: Self.longSeconds), progress: progress)
        guard let volume else { throw Self.badAnswer("the new volume is not in it") }
        return volume
    }

    public func removeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        try VolumeName.validate(name)
        _ = try await result(
            of: send(.DELETE, "volumes/\(name)", seconds: Self.longSeconds), progress: progress)
    }

    static let longSeconds = ManagementLimits.longRequestTimeoutSeconds

    func get<Value: Decodable>(_ endpoint: String) async throws -> Value {
        try await decode(await send(.GET, endpoint))
    }

    /// Sends a request; returns an answer of status 200, throws any other.
    func send(
        _ method: HTTPMethod, _ endpoint: String, body: Data? = nil,
        seconds: Int64 = ManagementLimits.requestTimeoutSeconds
    ) async throws -> HTTPClientResponse {
        guard let url = URL(httpURLWithSocketPath: socketPath, uri: "/v1/\(endpoint)") else {
            throw ManagementUnreachable(
                socketPath: socketPath, reason: "this is no path of a socket")
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = method
        // The server needs none, and the socket's path is none that every server accepts.
        request.headers.add(name: "Host", value: "localhost")
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response: HTTPClientResponse
        do {
            response = try await http.execute(request, timeout: .seconds(seconds))
        } catch {
            throw failure(error)
        }
        guard response.status == .ok else { throw await refusal(response) }
        return response
    }

    func decode<Value: Decodable>(_ response: HTTPClientResponse) async throws -> Value {
        let bytes: ByteBuffer
        do {
            bytes = try await response.body.collect(
                upTo: ManagementLimits.responseBodyMaximumBytes)
        } catch {
            throw failure(error)
        }
        do {
            return try ManagementCoding.decode(Value.self, from: Data(bytes.readableBytesView))
        } catch {
            throw Self.badAnswer(ManagementCoding.problem(of: error))
        }
    }

    func result(
        of response: HTTPClientResponse, progress: @Sendable (String) async -> Void
    ) async throws -> VolumeSummary? {
        var lines = LineSplitter(maximumBytes: ManagementLimits.progressLineMaximumBytes)
        do {
            for try await part in response.body {
                for line in try lines.append(part.readableBytesView) {
                    switch try ManagementCoding.decode(ProgressEvent.self, from: line) {
                    case .progress(let message): await progress(message)
                    case .result(let volume): return volume
                    case .error(let error): throw error
                    }
                }
            }
        } catch let error as DecodingError {
            throw Self.badAnswer(ManagementCoding.problem(of: error))
        } catch {
            throw failure(error)
        }
        throw Self.interrupted
    }
}
