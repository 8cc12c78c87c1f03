import Foundation
import Management

extension FakeBackend {
    static func event(
        _ sequence: UInt64, volume: String? = "Volume1", kind: ClusterEventKind = .nodeLost
    ) -> ClusterEvent {
        ClusterEvent(
            sequence: sequence, time: Date(timeIntervalSince1970: 1_795_384_200.125), kind: kind,
            severity: .warning, volume: volume, node: "node2", cause: "heartbeats missed",
            durationSeconds: 1.5, text: "node2 is lost")
    }

    func redirectVolume(
        _ name: String, reason: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("1 of 2 nodes is redirected")
        try note("redirect \(name) \(reason ?? "-")")
    }

    func resumeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("1 of 2 nodes is direct")
        try note("resume \(name)")
    }

    func moveVolume(
        _ name: String, to node: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        await progress("draining")
        try note("move \(name) \(node ?? "-")")
        var volume = Self.volume(name)
        volume.coordinator = node ?? "node3"
        return volume
    }

    func setVolume(_ name: String, _ settings: VolumeSettings) async throws -> VolumeSummary {
        try note("set \(name) \(settings.allowUnprovenFailover.map { "\($0)" } ?? "-")")
        var volume = Self.volume(name)
        volume.failover = FailoverMode.unproven.rawValue
        return volume
    }

    func forgetNode(_ name: String) async throws { try note("forget \(name)") }

    func events(_ request: EventRequest) async throws -> [ClusterEvent] {
        try note("events \(request.afterSequence) \(request.limit) \(request.volume ?? "-")")
        return state.withLock { Array($0.events.filter(request.matches).suffix(request.limit)) }
    }

    func followEvents(
        _ request: EventRequest
    ) async throws -> AsyncThrowingStream<ClusterEvent, any Error> {
        let events = try await events(request)
        return AsyncThrowingStream { continuation in
            continuation.onTermination = { _ in
                self.state.withLock { $0.endedFollowers += 1 }
            }
            for event in events { continuation.yield(event) }
            state.withLock { $0.followers.append(continuation) }
        }
    }

    /// Something happens.
    func happen(_ event: ClusterEvent) {
        for follower in state.withLock({ $0.followers }) { follower.yield(event) }
    }
}
