import Management
import Synchronization
import VolumeModel

/// A backend that answers from values that a test sets, and remembers what it was asked.
final class FakeBackend: ManagementBackend {
    struct State {
        var calls: [String] = []
        var failure: (any Error)?
        var volumes = [FakeBackend.volume("Volume1")]
        var finishedAdds = 0
        var events = [FakeBackend.event(3), FakeBackend.event(7)]
        /// Where those who follow wait for more.
        var followers: [AsyncThrowingStream<ClusterEvent, any Error>.Continuation] = []
        var endedFollowers = 0
    }

    let state = Mutex(State())
    /// Runs inside `addVolume` between its second progress message and its end.
    let whileAdding: @Sendable () async -> Void

    init(failure: (any Error)? = nil, whileAdding: @escaping @Sendable () async -> Void = {}) {
        self.whileAdding = whileAdding
        state.withLock { $0.failure = failure }
    }

    var calls: [String] { state.withLock { $0.calls } }

    static func volume(_ name: String) -> VolumeSummary {
        VolumeSummary(
            name: name, id: "5c1d", device: "/dev/sdb", filesystem: .xfs, coordinator: "node1",
            epoch: Epoch(3), sizeBytes: 2 << 30, usedBytes: 1 << 20,
            path: "/clusterstorage/\(name)",
            fence: "none")
    }

    func note(_ call: String) throws {
        try state.withLock {
            $0.calls.append(call)
            if let failure = $0.failure { throw failure }
        }
    }

    func cluster() async throws -> ClusterSummary {
        try note("cluster")
        return ClusterSummary(
            name: "lab", id: "c1", store: "unix:/run/s", node: "node1", nodeCount: 3, volumeCount: 1
        )
    }

    func nodes() async throws -> [NodeSummary] {
        try note("nodes")
        return [
            NodeSummary(
                name: "node1", state: .up, addresses: ["10.0.0.1:7400"],
                incarnation: "ffffffffffffffff",
                coordinatorOf: ["Volume1"])
        ]
    }

    func volumes() async throws -> [VolumeSummary] {
        try note("volumes")
        return state.withLock { $0.volumes }
    }

    func volume(named name: String) async throws -> VolumeSummary {
        try note("volume \(name)")
        guard let volume = state.withLock({ $0.volumes.first { $0.name == name } }) else {
            throw ManagementError.volumeNotFound(name)
        }
        return volume
    }

    func addVolume(
        _ request: VolumeAddRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        await progress("looking at \(request.device)")
        await progress("second step")
        await whileAdding()
        try note(
            "add \(request.device) \(request.name ?? "-") \(request.filesystem?.rawValue ?? "-") "
                + "\(request.format)")
        state.withLock { $0.finishedAdds += 1 }
        return Self.volume(request.name ?? "Volume2")
    }

    func renameVolume(_ name: String, to newName: String) async throws -> VolumeSummary {
        try note("rename \(name) \(newName)")
        return Self.volume(newName)
    }

    func removeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        await progress("detaching \(name)")
        try note("remove \(name)")
    }

    func volumeStates() async throws -> [VolumeNodeState] {
        try note("states")
        return [
            VolumeNodeState(
                volume: "Volume1", node: "node1", coordinator: "node1", state: .direct, reason: nil),
            VolumeNodeState(
                volume: "Volume1", node: "node2", coordinator: nil, state: .redirected,
                reason: nil, reasons: ["NoDiskConnectivity", "UserRequest"],
                detail: "the path is probed every second"),
        ]
    }

    func statistics() async throws -> [VolumeStatistics] {
        try note("stats")
        var row = VolumeStatistics(volume: "Volume1", node: "node2")
        row.directReads = 7
        row.directReadBytes = .max
        return [row]
    }

    func fileMap(_ request: FileMapRequest) async throws -> FileMapPage {
        try note("map \(request.path) \(request.offsetBytes) \(request.maximumExtents)")
        return FileMapPage(
            extents: [
                FileMapExtent(
                    Extent(
                        fileOffsetBytes: 0, lunOffsetBytes: 4096, lengthBytes: 8192,
                        state: .written))
            ], nextOffsetBytes: 8192)
    }
}
