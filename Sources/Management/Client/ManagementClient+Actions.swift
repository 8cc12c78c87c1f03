import Foundation
import NIOHTTP1

extension ManagementClient {
    public func redirectVolume(
        _ name: String, reason: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        let request = VolumeRedirectRequest(reason: reason)
        try request.validate()
        _ = try await act("redirect", on: name, ManagementCoding.encode(request), progress)
    }

    public func resumeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        _ = try await act("resume", on: name, nil, progress)
    }

    public func moveVolume(
        _ name: String, to node: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        let body = try ManagementCoding.encode(VolumeMoveRequest(to: node))
        guard let volume = try await act("move", on: name, body, progress) else {
            throw Self.badAnswer("the volume is not in it")
        }
        return volume
    }

    public func setVolume(_ name: String, _ settings: VolumeSettings) async throws -> VolumeSummary
    {
        try VolumeName.validate(name)
        let body = try ManagementCoding.encode(settings)
        return try await decode(await send(.PATCH, "volumes/\(name)", body: body))
    }

    public func forgetNode(_ name: String) async throws {
        try NodeName.validate(name)
        let _: [String: String] = try await decode(await send(.DELETE, "nodes/\(name)"))
    }

    public func events(_ request: EventRequest) async throws -> [ClusterEvent] {
        try await get("events?\(Self.query(request))")
    }

    /// The stream ends with an error: the daemon's own, or `interrupted` where the daemon went
    /// away.
    public func followEvents(
        _ request: EventRequest
    ) async throws -> AsyncThrowingStream<ClusterEvent, any Error> {
        let response = try await send(
            .GET, "events/follow?\(Self.query(request))",
            seconds: ManagementLimits.followTimeoutSeconds)
        return AsyncThrowingStream { continuation in
            let task = Task {
                var lines = LineSplitter(maximumBytes: ManagementLimits.progressLineMaximumBytes)
                do {
                    for try await part in response.body {
                        for line in try lines.append(part.readableBytesView) where !line.isEmpty {
                            switch try ManagementCoding.decode(EventLine.self, from: line) {
                            case .event(let event): continuation.yield(event)
                            case .error(let error): throw error
                            }
                        }
                    }
                    throw Self.followInterrupted
                } catch let error as DecodingError {
                    continuation.finish(
                        throwing: Self.badAnswer(ManagementCoding.problem(of: error)))
                } catch {
                    let reason = failure(error)
                    let isInterrupted = reason as? ManagementError == Self.interrupted
                    continuation.finish(
                        throwing: isInterrupted ? Self.followInterrupted : reason)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private static let followInterrupted = ManagementError(
        code: "interrupted",
        message: "the daemon went away: start it, then follow on with --after",
        status: 502)

    private static func query(_ request: EventRequest) throws -> String {
        try request.validate()
        let volume = request.volume.map { "&volume=\($0)" } ?? ""
        return "after=\(request.afterSequence)&limit=\(request.limit)\(volume)"
    }

    private func act(
        _ action: String, on name: String, _ body: Data?,
        _ progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary? {
        try VolumeName.validate(name)
        return try await result(
            of: send(.POST, "volumes/\(name)/\(action)", body: body, seconds: Self.longSeconds),
            progress: progress)
    }
}
