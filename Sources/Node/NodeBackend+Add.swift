import BlockDevice
import ClusterStore
import Foundation
import Glibc
import HostFileSystem
import Management
import VolumeModel
import VolumeProtocol

extension NodeBackend {
    func addVolume(
        _ request: VolumeAddRequest, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        let device = request.device
        let real = try realPath(device)
        let known = try await records()
        if let other = known.first(where: { (try? realPath($0.device)) == real }) {
            throw ManagementError.conflict("\(device) is the volume \(other.name) already")
        }
        await progress("looking at what is on \(device)")
        let contents = try await inspect(context.ownDevice(device))
        let kind: FileSystemKind
        if request.format {
            kind = request.filesystem ?? .xfs
            try await format(request, contents, kind, progress)
        } else {
            kind = try await adopt(device, contents, request.filesystem)
        }
        let record = VolumeRecord(
            id: VolumeID(high: .random(in: 1...UInt64.max), low: .random(in: 0...UInt64.max))
                .description,
            name: request.name ?? freeName(known), device: device, filesystem: kind.rawValue,
            sizeBytes: contents.sizeBytes, phase: .active)
        try await register(record)
        context.events.note(
            .volumeAdded, volume: record.name, cause: "asked for", outcome: kind.rawValue,
            "\(device) is the volume \(record.name)")
        await progress("every node takes the volume up")
        try await waitUntilEverywhere(record, progress: progress)
        return try await summary(record)
    }

    private func realPath(_ path: String) throws -> String {
        guard let real = realpath(path, nil) else {
            throw ManagementError.invalidRequest(
                "\(path): \(String(cString: strerror(errno))); name a block device or an image file "
                    + "by a path that is the same on every node")
        }
        defer { free(real) }
        return String(cString: real)
    }

    private func inspect(_ device: String) async throws -> DeviceContents {
        do {
            return try await Blocking.run { try DeviceInspector.inspect(device) }
        } catch {
            throw ManagementError.refused("\(error)")
        }
    }

    private func format(
        _ request: VolumeAddRequest, _ contents: DeviceContents, _ kind: FileSystemKind,
        _ progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        if case .refused(let reasons) = contents.formatting(mayOverwrite: request.overwrite) {
            throw ManagementError.refused(
                reasons.joined(separator: "; ") + "; nothing was written"
                    + (request.overwrite
                        ? "" : ". If that may go, name the device again with --overwrite"))
        }
        if request.overwrite, let found = contents.fileSystem {
            try await checkMark(context.ownDevice(request.device), found.kind)
        }
        await progress("making an \(kind.rawValue) file system")
        let (device, overwrites) = (context.ownDevice(request.device), request.overwrite)
        do {
            try await Blocking.run {
                try FileSystemMaker.format(device, kind: kind, overwrites: overwrites)
            }
        } catch {
            throw ManagementError.refused("\(error)")
        }
    }

    private func adopt(
        _ device: String, _ contents: DeviceContents, _ wanted: FileSystemKind?
    ) async throws -> FileSystemKind {
        if case .refused(let reasons) = contents.adoption {
            throw ManagementError.refused(reasons.joined(separator: "; "))
        }
        guard let found = contents.fileSystem else {
            throw ManagementError.refused("\(device) holds no file system")
        }
        if let wanted, wanted != found.kind {
            throw ManagementError.refused(
                "\(device) holds an \(found.kind.rawValue), not an \(wanted.rawValue)")
        }
        try await checkMark(context.ownDevice(device), found.kind)
        return found.kind
    }

    /// Refuses another cluster's volume.
    private func checkMark(_ device: String, _ kind: FileSystemKind) async throws {
        let bytes: [UInt8]?
        do {
            bytes = try await Blocking.run { try OwnershipMark.peek(device, kind: kind) }
        } catch {
            throw ManagementError.refused("\(error)")
        }
        if let bytes {
            guard let mark = try? JSONDecoder().decode(VolumeMark.self, from: Data(bytes)) else {
                throw ManagementError.refused(
                    "\(device) has a Covolume mark that cannot be read; a newer version wrote it, or "
                        + "it is damaged")
            }
            guard mark.cluster == context.clusterID else {
                throw ManagementError.refused(
                    "\(device) is a volume of the cluster \(mark.clusterName) (\(mark.cluster)); "
                        + "remove it there first with covol volume remove")
            }
        }
    }

    private func freeName(_ known: [VolumeRecord]) -> String {
        let taken = Set(known.map(\.name))
        var number = 1
        while taken.contains("Volume\(number)") { number += 1 }
        return "Volume\(number)"
    }

    /// Writes the records of a new volume, with the least loaded node as its coordinator.
    private func register(_ record: VolumeRecord) async throws {
        let nodes = try await nodeRecords()
        let owners = try await owners().values
        let chosen = nodes.min { left, right in
            let leftLoad = owners.count { $0.node == left.0 }
            let rightLoad = owners.count { $0.node == right.0 }
            return (leftLoad, left.0) < (rightLoad, right.0)
        }
        guard let (node, about) = chosen else {
            throw ManagementError.unavailable("no node of the cluster is up")
        }
        let owner = OwnerRecord(
            node: node, incarnation: about.incarnation, epoch: 1, phase: .assigned)
        let response = try await context.store.transaction(
            compares: [
                .missing(StoreKeys.name(record.name)), .missing(StoreKeys.volume(record.id)),
            ],
            success: [
                .putJSON(StoreKeys.volume(record.id), record),
                .put(StoreKeys.name(record.name), Array(record.id.utf8)),
                .putJSON(StoreKeys.owner(record.id), owner),
            ])
        guard response.succeeded else {
            throw ManagementError.conflict(
                "there is a volume \(record.name) already; choose another --name")
        }
    }

    /// Returns once every node that is up shows the volume at its name.
    func waitUntilEverywhere(
        _ record: VolumeRecord, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        var shown = -1
        while ContinuousClock.now < deadline {
            let nodes = try await nodeRecords().map(\.0)
            let showing = try await nodesShowing(record)
            let ready = nodes.count { showing.contains($0) }
            if ready != shown {
                shown = ready
                await progress("\(ready) of \(nodes.count) nodes show it")
            }
            if ready == nodes.count { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ManagementError.unavailable(
            "not every node shows the volume after a minute; covol volume state tells which, and the "
                + "log of covold there why")
    }

    /// The nodes that show a volume at its present name.
    private func nodesShowing(_ record: VolumeRecord) async throws -> Set<String> {
        let prefix = StoreKeys.states(record.id)
        let entries = try await context.store.range(prefix: prefix).entries.filter { entry in
            let state = try entry.decoded(as: StateRecord.self)
            return state.state != AccessState.unavailable.rawValue && state.name == record.name
        }
        return Set(entries.map { String($0.key.dropFirst(prefix.count)) })
    }
}
