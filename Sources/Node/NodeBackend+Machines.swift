import ClusterStore
import Foundation
import MachineCore
import Management
import Transport
import VolumeModel
import VolumeProtocol

/// Orders for virtual machines. They change the records; the owners follow them.
extension NodeBackend {
    typealias Progress = @Sendable (String) async -> Void

    func machines() async throws -> [MachineSummary] {
        let states = try await machineStates()
        return try await context.store.machineSnapshot().machines.values
            .sorted { $0.value.name < $1.value.name }
            .map { summary($0.value, states[$0.value.name]) }
    }

    func machine(named name: String) async throws -> MachineSummary {
        summary(try await machineRecord(name), try await machineStates()[name])
    }

    func machineRecord(_ name: String) async throws -> MachineRecord {
        guard
            let found = try await context.store.getJSON(
                StoreKeys.machine(name), as: MachineRecord.self)
        else { throw ManagementError.machineNotFound(name) }
        return found.value
    }

    private func machineStates() async throws -> [String: MachineStateRecord] {
        var states: [String: MachineStateRecord] = [:]
        for entry in try await context.store.all(prefix: StoreKeys.machineStates).entries {
            states[String(entry.key.dropFirst(StoreKeys.machineStates.count))] =
                try entry.decoded()
        }
        return states
    }

    private func summary(
        _ record: MachineRecord, _ state: MachineStateRecord?
    ) -> MachineSummary {
        let shown = state?.node == record.owner ? state : nil
        let word: String
        switch record.phase {
        case .stopped: word = "Off"
        case .running: word = shown?.state ?? "Running"
        default: word = record.phase.rawValue.capitalized
        }
        let volume = VolumeID(record.volume).flatMap { manager.instance($0)?.shownName }
        return MachineSummary(
            name: record.name, state: word, detail: shown?.detail ?? record.reason,
            node: record.owner, target: record.target, volume: volume ?? record.volume,
            memoryBytes: record.demand.memoryBytes, cpus: record.cpus,
            priority: record.demand.priority.rawValue,
            preferredOwners: record.demand.preferredOwners,
            possibleOwners: record.demand.possibleOwners,
            antiAffinityGroup: record.demand.antiAffinityGroup, epoch: record.epoch,
            path: context.path(of: volume ?? record.volume) + "/" + record.name,
            console: record.owner == context.node ? shown?.console : nil)
    }

    // MARK: Orders

    func order(
        _ order: MachineOrder, machine name: String, progress: @escaping Progress
    ) async throws {
        switch order {
        case .start(let node): try await start(name, on: node, progress)
        case .stop(let isForced):
            _ = try await changeMachine(name) { try $0.stop(isForced ? .powerOff : .shutdown) }
            await progress(isForced ? "pulling the plug" : "asking the guest to shut down")
            try await wait(for: name, progress) { $0.isOn ? nil : .success(()) }
        case .reset: try await reset(name)
        case .pause: try await pause(name, true, progress)
        case .resume: try await pause(name, false, progress)
        case .save:
            _ = try await changeMachine(name) { try $0.save() }
            try await wait(for: name, progress) { record in
                switch record.phase {
                case .saved: .success(())
                case .saving: nil
                default: .failure(Self.failure(record))
                }
            }
        case .discard:
            _ = try await changeMachine(name) { record in
                guard record.phase == .saved || !record.isOn else {
                    throw MachineRefusal("\(name) is on")
                }
                record.off(.stopped)
            }
        case .migrate(let node, let isQuick): try await migrate(name, node, isQuick, progress)
        case .cancelMigration:
            _ = try await changeMachine(name) { try $0.cancelMigration() }
            try await wait(for: name, progress) { $0.phase == .migrating ? nil : .success(()) }
        }
    }

    /// Returns when the owner has done it.
    private func pause(_ name: String, _ wanted: Bool, _ progress: Progress) async throws {
        _ = try await changeMachine(name) { try $0.pause(wanted) }
        while try await (machineStates()[name]?.state == "Paused") != wanted {
            let record = try await machineRecord(name)
            guard record.phase == .running, record.isPaused == wanted else {
                throw Self.failure(record)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    func changeMachine(
        _ name: String, _ body: (inout MachineRecord) throws -> Void
    ) async throws -> MachineRecord {
        do {
            guard let record = try await context.store.changeMachine(name, body) else {
                throw ManagementError.machineNotFound(name)
            }
            return record
        } catch let refusal as MachineRefusal {
            throw ManagementError.conflict("\(refusal)")
        }
    }

    private func start(_ name: String, on node: String?, _ progress: @escaping Progress)
        async throws
    {
        let snapshot = try await context.store.machineSnapshot()
        guard let record = snapshot.machines[name]?.value else {
            throw ManagementError.machineNotFound(name)
        }
        var wanted = record
        do {
            try wanted.start(on: node)
            _ = try snapshot.scheduler().place(for: wanted)
        } catch { throw ManagementError.conflict("\(name) cannot be started: \(error)") }
        _ = try await changeMachine(name) { try $0.start(on: node) }
        try await wait(for: name, progress) { record in
            switch record.phase {
            case .running: .success(())
            case .waiting, .starting: nil
            default: .failure(Self.failure(record))
            }
        }
    }

    private func migrate(
        _ name: String, _ node: String?, _ isQuick: Bool, _ progress: @escaping Progress
    ) async throws {
        let snapshot = try await context.store.machineSnapshot()
        guard let record = snapshot.machines[name]?.value else {
            throw ManagementError.machineNotFound(name)
        }
        let target: String
        do {
            if let node {
                try snapshot.scheduler().check(node, for: record)
                target = node
            } else {
                target = try snapshot.scheduler().place(for: record)
            }
        } catch { throw ManagementError.conflict("\(name) cannot be moved: \(error)") }
        let began = try await changeMachine(name) {
            if isQuick { try $0.save(for: target) } else { try $0.migrate(to: target) }
        }
        await progress("\(name) moves from \(began.owner ?? "") to \(target)")
        let start = ContinuousClock.now
        try await wait(for: name, progress) { record in
            switch record.phase {
            case .migrating, .saving, .starting, .waiting: nil
            case .running where record.owner == target: .success(())
            default: .failure(Self.failure(record))
            }
        }
        context.events.note(
            .machineMoved, volume: try? await machine(named: name).volume, node: target,
            cause: "asked for", outcome: isQuick ? "by saved state" : "live",
            durationSeconds: start.duration(to: .now).seconds,
            "the machine \(name) moved from \(began.owner ?? "") to \(target)")
    }

    private static func failure(_ record: MachineRecord) -> ManagementError {
        .conflict(
            "\(record.name) is \(record.phase.rawValue)"
                + (record.owner.map { " on \($0)" } ?? "")
                + (record.reason.map { ": \($0)" } ?? ""))
    }

    /// Looks at a machine's record until `verdict` has one, and tells what changes meanwhile.
    private func wait(
        for name: String, _ progress: Progress,
        _ verdict: (MachineRecord) -> Result<Void, ManagementError>?
    ) async throws {
        var last = ""
        while true {
            let record = try await machineRecord(name)
            if let verdict = verdict(record) { return try verdict.get() }
            let shown = summary(record, try await machineStates()[name])
            let text =
                "\(name) is \(shown.state.lowercased())" + (shown.node.map { " on \($0)" } ?? "")
                + (shown.detail.map { ": \($0)" } ?? "")
            if text != last { await progress(text) }
            last = text
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    // MARK: What only the owner can do

    private func reset(_ name: String) async throws {
        let record = try await machineRecord(name)
        guard let owner = record.owner, record.phase == .running else {
            throw ManagementError.conflict("\(name) does not run")
        }
        let problem: String?
        if owner == context.node {
            problem = await machineManager.reset(name)
        } else {
            let client = try await context.peers().client(for: owner)
            problem = try await client.call(
                TransportMessage(.resetMachine, json: name), timeout: .seconds(15)
            ).decodedJSON(as: ResetMachineAnswer.self).problem
        }
        if let problem { throw ManagementError.conflict("\(name) is not reset: \(problem)") }
    }
}

/// The answer to ``WireKind/resetMachine``.
struct ResetMachineAnswer: Codable, Sendable {
    var problem: String?
}

extension MachineManager {
    /// Why it is not reset; nil: it is.
    func reset(_ name: String) async -> String? {
        guard let process = copies[name] else { return "it does not run here" }
        do {
            try await process.reset()
            return nil
        } catch { return "\(error)" }
    }
}
