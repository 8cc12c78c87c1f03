import ClusterCore
import ClusterStore
import VolumeModel

/// What the store says of one volume, with the revisions that changes are compared with.
struct VolumeSnapshot: Sendable {
    /// Counts the readings: a later one began when this one had ended.
    var number: UInt64 = 0
    var record: VolumeRecord
    var owner: Decoded<OwnerRecord>?
    /// By node.
    var attachments: [String: Decoded<AttachmentRecord>]
    /// The nodes that are up, by name.
    var members: [String: Incarnation]
    /// How many volumes each node coordinates.
    var load: [String: Int]

    /// The same for the state machine.
    var records: VolumeRecords {
        VolumeRecords(
            owner: owner.map {
                VolumeRecords.Owner(
                    identity: $0.value.identity, epoch: Epoch($0.value.epoch),
                    phase: $0.value.phase, moveTarget: $0.value.moveTarget)
            },
            attachments: attachments.mapValues {
                VolumeRecords.Attachment(
                    incarnation: Incarnation($0.value.incarnation), hasPath: $0.value.hasPath)
            },
            members: members, load: load, allowsUnproven: record.allowsUnproven ?? false,
            isRemoving: record.phase == .removing)
    }
}

/// Reads the volumes' records, one reading after the other, so that none shows an earlier time than the
/// one before.
actor RecordReader {
    private let store: any ClusterStore
    private var last: Task<[VolumeSnapshot], any Error>?
    private var number: UInt64 = 0

    init(store: any ClusterStore) { self.store = store }

    func read() async throws -> [VolumeSnapshot] {
        number += 1
        let (previous, store, number) = (last, store, number)
        let task = Task {
            _ = await previous?.result
            return try await store.volumeSnapshots().map { snapshot in
                var snapshot = snapshot
                snapshot.number = number
                return snapshot
            }
        }
        last = task
        return try await task.value
    }
}

extension ClusterStore {
    /// Every volume with all that belongs to it.
    fileprivate func volumeSnapshots() async throws -> [VolumeSnapshot] {
        let volumes = try await all(prefix: StoreKeys.volumes).entries
        var owners: [String: Decoded<OwnerRecord>] = [:]
        var load: [String: Int] = [:]
        for entry in try await all(prefix: StoreKeys.owners).entries {
            let owner: OwnerRecord = try entry.decoded()
            owners[String(entry.key.dropFirst(StoreKeys.owners.count))] = Decoded(
                value: owner, entry: entry)
            load[owner.node, default: 0] += 1
        }
        var attachments: [String: [String: Decoded<AttachmentRecord>]] = [:]
        for entry in try await all(prefix: StoreKeys.attachments).entries {
            let parts = entry.key.split(separator: "/").map(String.init)
            guard parts.count == 3 else { continue }
            attachments[parts[1], default: [:]][parts[2]] = Decoded(
                value: try entry.decoded(), entry: entry)
        }
        var members: [String: Incarnation] = [:]
        for entry in try await all(prefix: StoreKeys.nodes).entries {
            let record: NodeRecord = try entry.decoded()
            members[String(entry.key.dropFirst(StoreKeys.nodes.count))] = Incarnation(
                record.incarnation)
        }
        return try volumes.map { entry in
            let record: VolumeRecord = try entry.decoded()
            return VolumeSnapshot(
                record: record, owner: owners[record.id],
                attachments: attachments[record.id] ?? [:], members: members, load: load)
        }
    }
}
