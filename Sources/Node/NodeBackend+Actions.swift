import ClusterCore
import ClusterStore
import Foundation
import Management
import VolumeModel
import VolumeProtocol

extension NodeBackend {
    func redirectVolume(
        _ name: String, reason: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        let record = try await change(name) { record in
            var reasons = record.redirected ?? [:]
            reasons[RedirectReason.userRequest.rawValue] = reason ?? ""
            record.redirected = reasons
        }
        await progress("waiting for the last direct I/O of every node")
        try await waitForStates(of: record, progress) { state in
            state.applied?.contains(RedirectReason.userRequest.rawValue) ?? false
        }
        context.events.note(
            .redirected, volume: name, cause: reason ?? "asked for", outcome: "redirected",
            "\(name) is redirected on all nodes: only its coordinator uses the LUN; "
                + "covol volume resume \(name) ends that")
    }

    func resumeVolume(
        _ name: String, progress: @escaping @Sendable (String) async -> Void
    ) async throws {
        let wanted = RedirectReason.userRequest.rawValue
        guard try await record(named: name).redirected?[wanted] != nil else { return }
        let record = try await change(name) { record in
            record.redirected?[wanted] = nil
            if record.redirected?.isEmpty == true { record.redirected = nil }
        }
        await progress("every node takes up direct I/O again")
        try await waitForStates(of: record, progress) { state in
            !(state.applied?.contains(wanted) ?? false)
        }
        context.events.note(
            .direct, volume: name, cause: "asked for", outcome: "direct",
            "\(name) is no longer redirected by request")
    }

    func moveVolume(
        _ name: String, to wanted: String?, progress: @escaping @Sendable (String) async -> Void
    ) async throws -> VolumeSummary {
        let record = try await record(named: name)
        let key = StoreKeys.owner(record.id)
        guard let current = try await context.store.getJSON(key, as: OwnerRecord.self) else {
            throw ManagementError.unavailable("\(name) has no coordinator to move")
        }
        let target = try await moveTarget(record, current.value, wanted)
        if current.value.node == target { return try await summary(record) }
        guard current.value.phase == .serving else {
            throw ManagementError.conflict(
                "\(name) is changing its coordinator already; try again when covol volume list "
                    + "shows one")
        }
        var owner = current.value
        owner.moveTarget = target
        guard
            try await context.store.compareAndPutJSON(
                key, modRevision: current.entry.modRevision, owner) != nil
        else { throw ManagementError.conflict("the coordinator changed meanwhile; try again") }
        await progress("\(owner.node) hands \(name) over to \(target)")
        try await waitForCoordinator(record, target, after: owner.epoch)
        return try await summary(record)
    }

    private func moveTarget(
        _ record: VolumeRecord, _ owner: OwnerRecord, _ wanted: String?
    ) async throws -> String {
        let up = Set(try await nodeRecords().map(\.0))
        let draining = Set(
            try await context.store.all(prefix: StoreKeys.drains).entries.map {
                String($0.key.dropFirst(StoreKeys.drains.count))
            })
        let prefix = StoreKeys.attachments(record.id)
        let attachments = try await context.store.range(prefix: prefix).entries
        let usable = try attachments.filter { try $0.decoded(as: AttachmentRecord.self).hasPath }
            .map { String($0.key.dropFirst(prefix.count)) }
            .filter { up.contains($0) && !draining.contains($0) }
        if let wanted {
            guard try await memberRecords().contains(where: { $0.0 == wanted }) else {
                throw ManagementError.notFound("there is no node \(wanted)")
            }
            guard up.contains(wanted) else {
                throw ManagementError.conflict("\(wanted) is down; choose a node that is up")
            }
            guard !draining.contains(wanted) else {
                throw ManagementError.conflict(
                    "\(wanted) is drained; covol node resume \(wanted) puts it back into use")
            }
            guard usable.contains(wanted) else {
                throw ManagementError.conflict(
                    "\(wanted) has no path to \(record.name) now; choose another node")
            }
            return wanted
        }
        let owners = try await owners().values
        let best = usable.filter { $0 != owner.node }.min { left, right in
            (owners.count { $0.node == left }, left) < (owners.count { $0.node == right }, right)
        }
        guard let best else {
            throw ManagementError.conflict(
                "no other node that is up has a path to \(record.name)")
        }
        return best
    }

    private func waitForCoordinator(
        _ record: VolumeRecord, _ target: String, after epoch: UInt64
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if let owner = try await owners()[record.id], owner.epoch > epoch,
                owner.phase == .serving
            {
                guard owner.node == target else {
                    throw ManagementError.conflict(
                        "\(target) could not take it; \(owner.node) coordinates \(record.name) now")
                }
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ManagementError.unavailable(
            "\(record.name) has no coordinator after a minute; covol volume state and the logs of "
                + "covold tell why")
    }

    func setVolume(_ name: String, _ settings: VolumeSettings) async throws -> VolumeSummary {
        let record = try await change(name) { record in
            if let allows = settings.allowUnprovenFailover {
                record.allowsUnproven = allows ? true : nil
            }
        }
        if let allows = settings.allowUnprovenFailover {
            context.events.note(
                .volumeChanged, allows ? .warning : .info, volume: name, cause: "asked for",
                outcome: allows ? "fails over without a proof" : "fails over with a proof only",
                allows
                    ? "\(name) may fail over although nothing proves that the lost coordinator is cut "
                        + "off: a node that is not really off destroys the volume"
                    : "\(name) fails over only when the lost coordinator is proven to be cut off")
        }
        return try await summary(record)
    }

    func forgetNode(_ name: String) async throws {
        guard try await memberRecords().contains(where: { $0.0 == name }) else {
            throw ManagementError.notFound("there is no node \(name)")
        }
        guard try await !nodeRecords().contains(where: { $0.0 == name }) else {
            throw ManagementError.conflict("\(name) is up; stop its daemon first")
        }
        for record in try await records() {
            let attachment = StoreKeys.attachment(record.id, name)
            if try await context.store.get(attachment).entry != nil {
                throw ManagementError.conflict(
                    "\(name) may still write to \(record.name): it is not proven to be fenced. See "
                        + "covol events; with no fence, covol volume set \(record.name) "
                        + "--allow-unproven-failover yes, once it is really off")
            }
        }
        let response = try await context.store.transaction(
            compares: [.missing(StoreKeys.node(name))],
            success: [.delete(StoreKeys.member(name))])
        guard response.succeeded else {
            throw ManagementError.conflict("\(name) has come up; stop its daemon first")
        }
        context.events.note(
            .nodeForgotten, node: name, cause: "asked for", outcome: "forgotten",
            "\(name) is no longer a node of the cluster; it joins again when its daemon starts")
    }

    /// Changes a volume's record, whoever else does meanwhile.
    private func change(
        _ name: String, _ body: (inout VolumeRecord) -> Void
    ) async throws -> VolumeRecord {
        let key = StoreKeys.volume(try await record(named: name).id)
        for _ in 0..<10 {
            guard var found = try await context.store.getJSON(key, as: VolumeRecord.self) else {
                throw ManagementError.volumeNotFound(name)
            }
            body(&found.value)
            if try await context.store.compareAndPutJSON(
                key, modRevision: found.entry.modRevision, found.value) != nil
            {
                return found.value
            }
        }
        throw ManagementError.conflict("\(name) is being changed by others; try again")
    }

    private func waitForStates(
        of record: VolumeRecord, _ progress: Progress, _ isDone: (StateRecord) -> Bool
    ) async throws {
        let prefix = StoreKeys.states(record.id)
        let deadline = ContinuousClock.now + .seconds(120)
        var shown = -1
        while true {
            let nodes = try await nodeRecords().map(\.0)
            let done = try await context.store.range(prefix: prefix).entries
                .filter { isDone(try $0.decoded(as: StateRecord.self)) }
                .map { String($0.key.dropFirst(prefix.count)) }
            let missing = nodes.filter { !done.contains($0) }
            if missing.isEmpty { return }
            if missing.count != shown {
                shown = missing.count
                await progress("waiting for \(missing.joined(separator: ", "))")
            }
            guard ContinuousClock.now < deadline else {
                throw ManagementError.unavailable(
                    "\(missing.joined(separator: ", ")) did not get there in two minutes; it goes on "
                        + "by itself, covol volume state shows how far it is")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
