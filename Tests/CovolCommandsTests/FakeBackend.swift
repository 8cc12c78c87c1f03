import Management
import Synchronization
import VolumeModel

/// A backend of one volume, whose file map comes in pages of one extent.
final class FakeBackend: ManagementBackend {
    private let recorded = Mutex<[String]>([])
    let extents: [Extent]
    /// The machine's console, and where it runs.
    let console: @Sendable (ConsoleExchange) async throws -> ConsoleAnswer
    let node: @Sendable () -> String?

    init(
        extents: [Extent] = [],
        console: @escaping @Sendable (ConsoleExchange) async throws -> ConsoleAnswer = { _ in
            throw ManagementError.conflict("no console")
        },
        node: @escaping @Sendable () -> String? = { "node2" }
    ) {
        self.extents = extents
        self.console = console
        self.node = node
    }

    var calls: [String] { recorded.withLock { $0 } }

    func note(_ call: String) { recorded.withLock { $0.append(call) } }

    static func volume(_ name: String) -> VolumeSummary {
        VolumeSummary(
            name: name, id: "5c1d", device: "/dev/sdb", filesystem: .xfs, coordinator: "node1",
            epoch: Epoch(3), sizeBytes: 2 << 30, usedBytes: nil, path: "/clusterstorage/\(name)",
            fence: "none")
    }

    func cluster() async throws -> ClusterSummary {
        ClusterSummary(
            name: "lab", id: "c1", store: "unix:/run/s", node: "node1", nodeCount: 3, volumeCount: 1
        )
    }

    func nodes() async throws -> [NodeSummary] {
        [
            NodeSummary(
                name: "node1", state: .up, addresses: ["10.0.0.1:7400", "10.0.1.1:7400"],
                incarnation: "1f", coordinatorOf: ["Volume1"]),
            NodeSummary(
                name: "node2", state: .down, addresses: [], incarnation: "2f", coordinatorOf: []),
        ]
    }

    func volumes() async throws -> [VolumeSummary] { [Self.volume("Volume1")] }

    func volume(named name: String) async throws -> VolumeSummary {
        guard name == "Volume1" else { throw ManagementError.volumeNotFound(name) }
        return Self.volume(name)
    }

    func addVolume(
        _ request: VolumeAddRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        note(
            "add \(request.device) \(request.name ?? "-") \(request.filesystem?.rawValue ?? "-") "
                + "\(request.format)")
        await progress("making a file system")
        return Self.volume(request.name ?? "Volume2")
    }

    func renameVolume(_ name: String, to newName: String) async throws -> VolumeSummary {
        note("rename \(name) \(newName)")
        return Self.volume(newName)
    }

    func removeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        note("remove \(name)")
        await progress("detaching")
        throw ManagementError.conflict("\(name) is in use on node2: close its files first")
    }

    func volumeStates() async throws -> [VolumeNodeState] {
        [
            VolumeNodeState(
                volume: "Volume1", node: "node1", coordinator: "node1", state: .direct, reason: nil),
            VolumeNodeState(
                volume: "Volume1", node: "node2", coordinator: nil, state: .redirected,
                reason: nil, reasons: ["NoDiskConnectivity", "UserRequest"],
                detail: "array snapshot"),
        ]
    }

    func statistics() async throws -> [VolumeStatistics] {
        var row = VolumeStatistics(volume: "Volume1", node: "node2")
        row.directReads = 12345
        row.directReadBytes = 3 << 29
        return [row]
    }

    func fileMap(_ request: FileMapRequest) async throws -> FileMapPage {
        note("map \(request.path) \(request.offsetBytes)")
        guard let index = extents.firstIndex(where: { $0.fileEndBytes > request.offsetBytes })
        else { return FileMapPage(extents: [], nextOffsetBytes: nil) }
        let extent = extents[index]
        return FileMapPage(
            extents: [FileMapExtent(extent)],
            nextOffsetBytes: index + 1 < extents.count ? extent.fileEndBytes : nil)
    }
}
