import ClusterStore
import Foundation
import MachineCore
import Management

/// A node's maintenance.
extension NodeBackend {
    func drainNode(_ name: String, progress: @escaping Progress) async throws {
        guard try await memberRecords().contains(where: { $0.0 == name }) else {
            throw ManagementError.notFound("there is no node \(name)")
        }
        let began = ContinuousClock.now
        // From here on nothing new goes there; the scheduler moves what is there.
        try await context.store.putJSON(
            StoreKeys.drain(name), DrainRecord(timeSeconds: Date().timeIntervalSince1970))
        for record in try await records() where try await owners()[record.id]?.node == name {
            _ = try await moveVolume(record.name, to: nil, progress: progress)
        }
        var last: [String] = []
        while true {
            let snapshot = try await context.store.machineSnapshot()
            guard snapshot.nodes[name]?.isDraining == true else {
                throw ManagementError.conflict("\(name) was put back into use meanwhile")
            }
            let left = snapshot.machines.values.map(\.value)
                .filter { $0.owner == name && $0.isOn }.sorted { $0.name < $1.name }
            if left.isEmpty { break }
            try refuseWhereStuck(name, left, snapshot.scheduler())
            let lines = left.map { record in
                "\(record.name): \(record.phase.rawValue)"
                    + (record.target.map { " to \($0)" } ?? "")
            }
            for line in lines where !last.contains(line) { await progress(line) }
            last = lines
            try await Task.sleep(for: .milliseconds(200))
        }
        context.events.note(
            .nodeDrained, node: name, cause: "asked for", outcome: "drained",
            durationSeconds: began.duration(to: .now).seconds,
            "\(name) is drained; covol node resume \(name) puts it back into use")
    }

    /// What nobody can take stays, and is told; the others go on moving.
    private func refuseWhereStuck(
        _ node: String, _ left: [MachineRecord], _ scheduler: MachineScheduler
    ) throws {
        var problems: [String] = []
        for record in left {
            guard record.phase == .running else { return }
            if record.isPaused {
                problems.append("\(record.name) is paused: resume or stop it")
            } else {
                do {
                    _ = try scheduler.place(for: record)
                    return
                } catch { problems.append("\(record.name): \(error)") }
            }
        }
        throw ManagementError.conflict(
            "\(node) stays drained, with machines that cannot be moved. "
                + problems.joined(separator: "; "))
    }

    func resumeNode(
        _ name: String, failback: Bool, progress: @escaping Progress
    ) async throws {
        guard try await context.store.delete(StoreKeys.drain(name)) else {
            throw ManagementError.conflict("\(name) is not drained")
        }
        let homeless = try await context.store.machineSnapshot().machines.values.map(\.value)
            .filter { $0.home == name }
        for record in homeless {
            _ = try await context.store.changeMachine(record.name) { record in
                guard record.home == name else { return }
                record.isReturning = failback
                if !failback { record.home = nil }
            }
        }
        context.events.note(
            .nodeResumed, node: name, cause: "asked for", outcome: "in use",
            "\(name) is back in use")
        guard failback else { return }
        var last: Set<String> = []
        while true {
            let left = Set(
                try await context.store.machineSnapshot().machines.values
                    .filter { $0.value.home == name && $0.value.isReturning && $0.value.isOn }
                    .map(\.value.name))
            if left.isEmpty { return }
            for machine in left.subtracting(last).sorted() {
                await progress("\(machine) goes back to \(name)")
            }
            last.formUnion(left)
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
