import ClusterStore
import Foundation
import MachineCore
import VolumeModel

extension StoreKeys {
    static let machines = "machines/"
    static let machineNodes = "machine-nodes/"
    static let machineStates = "machine-states/"
    static let drains = "drains/"
    static func machine(_ name: String) -> String { machines + name }
    static func machineNode(_ node: String) -> String { machineNodes + node }
    static func machineState(_ name: String) -> String { machineStates + name }
    static func drain(_ node: String) -> String { drains + node }
}

/// What a node has for machines; under its lease.
struct MachineNodeRecord: Codable, Sendable, Equatable {
    var memoryBytes: UInt64
    /// Of the last minute, for each processor.
    var load: Double?
}

/// How a machine is on its node, for everybody to see; under the node's lease.
struct MachineStateRecord: Codable, Sendable, Equatable {
    var node: String
    /// `Running`, `Paused`, `Halted` …: what the record alone does not say.
    var state: String
    var detail: String?
    var console: String?
}

/// A node that is being drained, or is; under no lease.
struct DrainRecord: Codable, Sendable, Equatable {
    var timeSeconds: Double
}

/// Everything that machines are placed by, as the store has it at one time or little apart.
struct MachineSnapshot: Sendable {
    var machines: [String: Decoded<MachineRecord>]
    var nodes: [String: MachineNode]
    /// Up to which revision a missing machine is missing.
    var revision: StoreRevision

    func scheduler(limits: MachineScheduler.Limits = .init()) -> MachineScheduler {
        MachineScheduler(
            nodes: nodes, machines: machines.mapValues(\.value),
            nowSeconds: Date().timeIntervalSince1970, limits: limits)
    }
}

extension ClusterStore {
    func machineSnapshot() async throws -> MachineSnapshot {
        let first = try await all(prefix: StoreKeys.machines)
        var machines: [String: Decoded<MachineRecord>] = [:]
        for entry in first.entries {
            machines[String(entry.key.dropFirst(StoreKeys.machines.count))] = Decoded(
                value: try entry.decoded(), entry: entry)
        }
        var nodes: [String: MachineNode] = [:]
        for entry in try await all(prefix: StoreKeys.members).entries {
            nodes[String(entry.key.dropFirst(StoreKeys.members.count))] = MachineNode(
                isMember: false, memoryBytes: 0)
        }
        // Members first, then what they may write to: a node that is gone between the two is seen to
        // be gone with the next reading.
        for entry in try await all(prefix: StoreKeys.nodes).entries {
            nodes[
                String(entry.key.dropFirst(StoreKeys.nodes.count)),
                default: MachineNode(isMember: true, memoryBytes: 0)
            ].isMember = true
        }
        for entry in try await all(prefix: StoreKeys.attachments).entries {
            let parts = entry.key.split(separator: "/").map(String.init)
            if parts.count == 3 { nodes[parts[2]]?.attachments.insert(parts[1]) }
        }
        for entry in try await all(prefix: StoreKeys.machineNodes).entries {
            let record: MachineNodeRecord = try entry.decoded()
            let name = String(entry.key.dropFirst(StoreKeys.machineNodes.count))
            nodes[name]?.memoryBytes = record.memoryBytes
            nodes[name]?.load = record.load ?? 0
        }
        for entry in try await all(prefix: StoreKeys.drains).entries {
            nodes[String(entry.key.dropFirst(StoreKeys.drains.count))]?.isDraining = true
        }
        return MachineSnapshot(machines: machines, nodes: nodes, revision: first.revision)
    }

    /// Changes a machine's record by compare-and-put, as often as it takes.
    ///
    /// - Returns: the new record; nil where there is none.
    func changeMachine(
        _ name: String, _ change: (inout MachineRecord) throws -> Void
    ) async throws -> MachineRecord? {
        let key = StoreKeys.machine(name)
        while let current = try await getJSON(key, as: MachineRecord.self) {
            var next = current.value
            try change(&next)
            if try await compareAndPutJSON(key, modRevision: current.entry.modRevision, next) != nil
            {
                return next
            }
        }
        return nil
    }
}
