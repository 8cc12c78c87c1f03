import Foundation
import Management

extension FakeBackend {
    func redirectVolume(
        _ name: String, reason: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        note("redirect \(name) \(reason ?? "-")")
        await progress("2 of 2 nodes are redirected")
    }

    func resumeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        note("resume \(name)")
    }

    func moveVolume(
        _ name: String, to node: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        note("move \(name) \(node ?? "-")")
        await progress("node1 drains")
        var volume = Self.volume(name)
        volume.coordinator = node ?? "node3"
        volume.epoch = 4
        return volume
    }

    func setVolume(_ name: String, _ settings: VolumeSettings) async throws -> VolumeSummary {
        note("set \(name) \(settings.allowUnprovenFailover.map { "\($0)" } ?? "-")")
        var volume = Self.volume(name)
        volume.fence = "reservations"
        volume.fenceProblem = "the target has no PREEMPT AND ABORT"
        volume.failover = FailoverMode.unproven.rawValue
        volume.redirected = ["UserRequest": "snapshot", "Maintenance": ""]
        return volume
    }

    func forgetNode(_ name: String) async throws {
        note("forget \(name)")
        guard name == "node3" else {
            throw ManagementError.conflict("\(name) is up: stop its daemon first")
        }
    }

    static let events = [
        event(3, .nodeLost, .warning, volume: nil, "node2 missed its heartbeats for 5 s"),
        event(5, .fenced, .info, volume: "Volume1", "node2 can write to Volume1 no more"),
    ]

    private static func event(
        _ sequence: UInt64, _ kind: ClusterEventKind, _ severity: EventSeverity, volume: String?,
        _ text: String
    ) -> ClusterEvent {
        ClusterEvent(
            sequence: sequence, time: Date(timeIntervalSince1970: 1_795_384_200), kind: kind,
            severity: severity, volume: volume, node: "node2", text: text)
    }

    func events(_ request: EventRequest) async throws -> [ClusterEvent] {
        note("events \(request.afterSequence) \(request.limit) \(request.volume ?? "-")")
        return Self.events.filter(request.matches).suffix(request.limit)
    }

    /// Ends after those there are, as a daemon does that shuts down.
    func followEvents(
        _ request: EventRequest
    ) async throws -> AsyncThrowingStream<ClusterEvent, any Error> {
        let events = try await events(request)
        return AsyncThrowingStream { continuation in
            for event in events { continuation.yield(event) }
            continuation.finish()
        }
    }
}
