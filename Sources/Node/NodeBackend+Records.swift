import ClusterStore
import Foundation
import Management
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

extension NodeBackend {
    func records() async throws -> [VolumeRecord] {
        try await context.store.all(prefix: StoreKeys.volumes).entries
            .map { try $0.decoded(as: VolumeRecord.self) }
            .sorted { $0.name < $1.name }
    }

    func record(named name: String) async throws -> VolumeRecord {
        guard let found = try await records().first(where: { $0.name == name }) else {
            throw ManagementError.volumeNotFound(name)
        }
        return found
    }

    /// By volume.
    func owners() async throws -> [String: OwnerRecord] {
        var owners: [String: OwnerRecord] = [:]
        for entry in try await context.store.all(prefix: StoreKeys.owners).entries {
            owners[String(entry.key.dropFirst(StoreKeys.owners.count))] = try entry.decoded(
                as: OwnerRecord.self)
        }
        return owners
    }

    /// The nodes that are up, by name.
    func nodeRecords() async throws -> [(String, NodeRecord)] {
        try await nodeRecords(below: StoreKeys.nodes)
    }

    /// Every node that ever joined, by name.
    func memberRecords() async throws -> [(String, NodeRecord)] {
        try await nodeRecords(below: StoreKeys.members)
    }

    private func nodeRecords(below prefix: String) async throws -> [(String, NodeRecord)] {
        try await context.store.all(prefix: prefix).entries.map { entry in
            (String(entry.key.dropFirst(prefix.count)), try entry.decoded(as: NodeRecord.self))
        }
    }

    func mount(of record: VolumeRecord) async throws -> VolumeMount? {
        guard let id = VolumeID(record.id) else { return nil }
        return manager.instance(id)?.mount
    }

    func summary(_ record: VolumeRecord) async throws -> VolumeSummary {
        let owner = try await owners()[record.id]
        var used: UInt64?
        if let mount = try await mount(of: record),
            let statistics = try? await mount.fileSystemStatistics()
        {
            used =
                (statistics.blocks - statistics.blocksFree) * UInt64(statistics.blockSizeBytes)
        }
        let path = VolumeID(record.id).flatMap { manager.instance($0)?.path }
        let failover: FailoverMode =
            record.allowsUnproven == true
            ? .unproven : path?.fenceName != nil && path?.fenceProblem == nil ? .automatic : .manual
        return VolumeSummary(
            name: record.name, id: record.id, device: record.device,
            filesystem: record.kind ?? .xfs, coordinator: owner?.node,
            epoch: Epoch(owner?.epoch ?? 0), sizeBytes: record.sizeBytes, usedBytes: used,
            path: context.path(of: record.name), fence: path?.fenceName ?? "none",
            fenceProblem: path?.fenceProblem, failover: failover,
            redirected: record.redirected ?? [:])
    }

    /// The nodes on which files of a volume are open.
    func nodesUsing(_ record: VolumeRecord) async throws -> [String] {
        try await countsOfNodes()
            .filter { ($0.counts[record.id]?.openFiles ?? 0) > 0 }
            .map(\.node)
    }

    /// What each node that answers did, by volume.
    private func countsOfNodes() async throws -> [(node: String, counts: [String: MountCounts])] {
        var all: [(node: String, counts: [String: MountCounts])] = []
        for (node, _) in try await nodeRecords() {
            if node == context.node {
                all.append((node, manager.counts))
            } else if let counts = await statistics(of: node) {
                all.append((node, counts))
            }
        }
        return all
    }

    private func statistics(of node: String) async -> [String: MountCounts]? {
        do {
            let client = try await context.peers().client(for: node)
            return try await client.call(
                TransportMessage(.statistics, json: [String]()), timeout: .seconds(5)
            ).decodedJSON(as: [String: MountCounts].self)
        } catch {
            context.log.warning(
                "a node does not tell its statistics",
                metadata: ["node": "\(node)", "error": "\(error)"])
            return nil
        }
    }

    /// What every node did, asked of each; a node that does not answer is left out.
    func statistics() async throws -> [VolumeStatistics] {
        let records = try await records()
        var rows: [VolumeStatistics] = []
        for (node, counts) in try await countsOfNodes() {
            for record in records {
                guard let count = counts[record.id] else { continue }
                rows.append(VolumeStatistics(volume: record.name, node: node, count))
            }
        }
        return rows.sorted { ($0.volume, $0.node) < ($1.volume, $1.node) }
    }
}

extension VolumeStatistics {
    init(volume: String, node: String, _ counts: MountCounts) {
        self.init(volume: volume, node: node)
        directReads = counts.directReads
        directWrites = counts.directWrites
        directReadBytes = counts.directReadBytes
        directWriteBytes = counts.directWriteBytes
        redirectedReads = counts.redirectedReads
        redirectedWrites = counts.redirectedWrites
        redirectedReadBytes = counts.redirectedReadBytes
        redirectedWriteBytes = counts.redirectedWriteBytes
        metadataOperations = counts.metadataOperations
        metadataCached = counts.metadataCached
        recalls = counts.recalls
    }
}

extension VolumeManager {
    /// What this node did on each volume, by the volume's number.
    var counts: [String: MountCounts] {
        var counts: [String: MountCounts] = [:]
        for (id, instance) in all { counts[id.description] = instance.mount?.counts }
        return counts
    }
}
