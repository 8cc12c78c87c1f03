import BlockDevice
import ClusterStore
import Foundation
import HostFileSystem
import Management
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// The management API's orders and questions, carried out on this node and in the cluster's records.
struct NodeBackend: ManagementBackend {
    let context: NodeContext
    let manager: VolumeManager
    let machineManager: MachineManager
    let storePath: String

    func cluster() async throws -> ClusterSummary {
        ClusterSummary(
            name: context.clusterName, id: context.clusterID, store: storePath,
            node: context.node, nodeCount: try await memberRecords().count,
            volumeCount: try await records().count)
    }

    func nodes() async throws -> [NodeSummary] {
        let records = try await records()
        let owners = try await owners()
        let alive = Set(try await nodeRecords().map(\.0))
        let attached = Set(
            try await context.store.all(prefix: StoreKeys.attachments).entries
                .compactMap { $0.key.split(separator: "/").last.map(String.init) })
        return try await memberRecords().map { name, record in
            let isFenced =
                !records.isEmpty && record.hasLeft != true && !attached.contains(name)
            return NodeSummary(
                name: name, state: alive.contains(name) ? .up : isFenced ? .fenced : .down,
                addresses: record.addresses,
                incarnation: Incarnation(record.incarnation).description,
                coordinatorOf: records.filter { owners[$0.id]?.node == name }.map(\.name))
        }
    }

    func volumes() async throws -> [VolumeSummary] {
        var summaries: [VolumeSummary] = []
        for record in try await records() { summaries.append(try await summary(record)) }
        return summaries
    }

    func volume(named name: String) async throws -> VolumeSummary {
        try await summary(try await record(named: name))
    }

    func renameVolume(_ name: String, to newName: String) async throws -> VolumeSummary {
        var record = try await record(named: name)
        if name == newName { return try await summary(record) }
        let key = StoreKeys.volume(record.id)
        guard let current = try await context.store.get(key).entry else {
            throw ManagementError.volumeNotFound(name)
        }
        record.name = newName
        let response = try await context.store.transaction(
            compares: [
                .modRevision(key, .equal, current.modRevision),
                .missing(StoreKeys.name(newName)),
            ],
            success: [
                .putJSON(key, record), .delete(StoreKeys.name(name)),
                .put(StoreKeys.name(newName), Array(record.id.utf8)),
            ])
        guard response.succeeded else {
            throw ManagementError.conflict(
                "there is a volume \(newName) already; choose another name, or rename that one first"
            )
        }
        context.events.note(
            .volumeRenamed, volume: newName, cause: "asked for", outcome: newName,
            "\(name) is called \(newName) now")
        try await waitUntilEverywhere(record, progress: { _ in })
        return try await summary(record)
    }

    func removeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        var record = try await record(named: name)
        let users = try await nodesUsing(record)
        guard users.isEmpty else { throw Self.inUse(on: users) }
        record.phase = .removing
        try await context.store.putJSON(StoreKeys.volume(record.id), record)
        await progress("every node gives the volume up")
        let deadline = ContinuousClock.now + .seconds(20)
        var shown = 0
        while try await context.store.get(StoreKeys.volume(record.id)).entry != nil {
            let left = try await context.store.range(
                prefix: StoreKeys.attachments(record.id)
            ).entries
            if left.count != shown {
                shown = left.count
                await progress("nodes that still use it: \(left.count)")
            }
            guard ContinuousClock.now < deadline else {
                // It goes on where it was: nothing has been lost.
                record.phase = .active
                try await context.store.putJSON(StoreKeys.volume(record.id), record)
                throw Self.inUse(
                    on: left.map { String($0.key.split(separator: "/").last ?? "") })
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private static func inUse(on nodes: [String]) -> ManagementError {
        .conflict(
            "the volume is in use on \(nodes.joined(separator: ", ")); "
                + "end what has files open there (fuser -vm shows it), then try again")
    }

    func volumeStates() async throws -> [VolumeNodeState] {
        let owners = try await owners()
        let nodes = try await nodeRecords()
        var rows: [VolumeNodeState] = []
        for record in try await records() {
            var states: [String: StateRecord] = [:]
            for entry in try await context.store.range(prefix: StoreKeys.states(record.id)).entries
            {
                let node = entry.key.dropFirst(StoreKeys.states(record.id).count)
                states[String(node)] = try entry.decoded(as: StateRecord.self)
            }
            for (node, _) in nodes {
                let state = states[node]
                rows.append(
                    VolumeNodeState(
                        volume: record.name, node: node, coordinator: owners[record.id]?.node,
                        state: state.flatMap { AccessState(rawValue: $0.state) } ?? .unavailable,
                        reason: state == nil ? RedirectReason.starting.rawValue : state?.reason,
                        reasons: state?.reasons, detail: state?.detail))
            }
        }
        return rows
    }

    func fileMap(_ request: FileMapRequest) async throws -> FileMapPage {
        let prefix = context.root + "/"
        guard request.path.hasPrefix(prefix) else {
            throw ManagementError.invalidRequest(
                "\(request.path) is not on a volume of this node; volumes are below \(context.root)"
            )
        }
        let parts = request.path.dropFirst(prefix.count).split(separator: "/").map(String.init)
        guard let name = parts.first,
            let mount = try await mount(of: try await record(named: name))
        else { throw ManagementError.unavailable("the volume is not there yet on this node") }
        do {
            let (extents, next) = try await mount.fileMap(
                parts.dropFirst().map { Array($0.utf8) }, offsetBytes: request.offsetBytes,
                maximumExtents: request.maximumExtents)
            return FileMapPage(extents: extents.map(FileMapExtent.init), nextOffsetBytes: next)
        } catch ErrorCode.noEntry {
            throw ManagementError.notFound("there is no file \(request.path)")
        } catch ErrorCode.isDirectory {
            throw ManagementError.invalidRequest("\(request.path) is a directory; name a file")
        } catch {
            throw ManagementError.invalidRequest(
                "\(request.path) has no sector map: \(error)")
        }
    }
}
