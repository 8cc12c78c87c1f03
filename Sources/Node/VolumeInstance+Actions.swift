import ClusterCore
import ClusterStore
import CoordinatorService
import Fencing
import HostFileSystem
import Logging
import VolumeModel
import VolumeMount
import VolumeProtocol

extension VolumeInstance {
    func perform(_ action: VolumeMemberAction) async {
        let event = await result(of: action)
        guard let event else { return }
        // What the action changed in the records comes before its end.
        await refresh()
        send(event)
    }

    private func result(of action: VolumeMemberAction) async -> VolumeMemberEvent? {
        switch action {
        case .attach:
            return .attached(await succeeds("attach") { try await attach() })
        case .fence(let node, let scope):
            return .fenced(node, scope, isProven: await fence(node, scope))
        case .claim(let epoch, let owner):
            return .claimed(epoch, await succeeds("take over") { try await claim(epoch, owner) })
        case .mount(let epoch, let attached):
            return .mounted(epoch, await succeeds("mount") { try await start(epoch, attached) })
        case .announce(let epoch):
            return .announced(epoch, await succeeds("serve") { try await announce(epoch) })
        case .handOver(let epoch, let target):
            return .handedOver(
                epoch, await succeeds("hand over") { try await handOver(epoch, target) })
        case .abandon(let epoch):
            return .abandoned(epoch, isProven: await abandon(epoch))
        case .resign(let epoch, let phase):
            return .resigned(epoch, await succeeds("resign") { try await resign(epoch, phase) })
        case .forget(let node):
            mounted.coordinator?.forget(node: node.name)
            return nil
        case .openSession(let epoch, let node):
            return .sessionOpened(
                epoch, await succeeds("open a session") { try await openSession(epoch, node) })
        case .loseEverything:
            await loseEverything()
            return .lostEverything
        }
    }

    private func succeeds(_ what: String, _ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch {
            report("could not \(what): \(error)")
            return false
        }
    }

    // MARK: Attaching

    /// The key first, then the record: from then on a fence of this node finds its key. A node
    /// without a path to the LUN attaches as well, and starts redirected.
    private func attach() async throws {
        guard hangingEpochs.isEmpty else {
            throw NodeError("a mount that this node gave up still hangs")
        }
        var key: UInt64?
        do {
            key = try await Blocking.run { [path] in try path.register() }
        } catch {
            log.warning(
                "this node has no path to the LUN yet, and starts redirected",
                metadata: ["error": "\(error)"])
        }
        let name = StoreKeys.attachment(id.description, context.node)
        let process = ProcessFence.own
        let record = AttachmentRecord(
            incarnation: context.incarnation.number, key: key, hasPath: path.isRegistered,
            process: process?.process, processStart: process?.start,
            watchdogWaitSeconds: context.configuration.watchdog?.waitSeconds)
        let known = try await context.store.getJSON(name, as: AttachmentRecord.self)
        guard known == nil || known?.value.incarnation == record.incarnation else {
            throw NodeError("an earlier life of this node is still attached")
        }
        // Only a member attaches: nobody would fence what nobody misses.
        let response = try await context.store.transaction(
            compares: [
                known.map { .modRevision(name, .equal, $0.entry.modRevision) } ?? .missing(name),
                .exists(StoreKeys.node(context.node)),
            ],
            success: [.putJSON(name, record)])
        guard response.succeeded else {
            throw NodeError("the attachment changed meanwhile, or this node is no member")
        }
    }

    // MARK: Fencing

    private func fence(_ node: NodeIdentity, _ scope: FenceScope) async -> Bool {
        guard let attachment = snapshot.attachments[node.name],
            attachment.value.incarnation == node.incarnation.number
        else { return true }
        let began = ContinuousClock.now
        var outcome: FenceOutcome
        if node.name == context.node {
            outcome = await fenceMyself(attachment.value)
        } else {
            outcome = await path.fence(node.name, attachment.value, scope)
        }
        let isProof = outcome.isProven
        if !isProof, mayGoOnUnproven(node) {
            outcome = .proven("not proven, but the operator allows failover without: \(outcome)")
        }
        let seconds = began.duration(to: .now).seconds
        guard outcome.isProven else {
            noteFence(node, false, outcome.text, seconds)
            return false
        }
        do {
            guard try await recordFence(node, scope, attachment, isProof: isProof) else {
                return false
            }
        } catch {
            report("a fence was not recorded: \(error)")
            return false
        }
        noteFence(node, true, outcome.text, seconds)
        return true
    }

    /// What the operator has allowed is failover. A member that merely owes an answer lives, and may
    /// still write.
    private func mayGoOnUnproven(_ node: NodeIdentity) -> Bool {
        guard record.allowsUnproven == true else { return false }
        return snapshot.members[node.name] != node.incarnation
            || snapshot.owner?.value.identity == node
    }

    /// An earlier life of this node, or a path of it: what it sent may still be on its way. Another
    /// node preempts its key; alone, the end of the earlier process has to do.
    private func fenceMyself(_ attachment: AttachmentRecord) async -> FenceOutcome {
        var outcome = FenceOutcome.notProven("its path had no key")
        if let key = attachment.key {
            outcome = await path.askOthersToFence(key)
        }
        guard !outcome.isProven, attachment.incarnation != context.incarnation.number, hasDrained,
            let process = attachment.process, let start = attachment.processStart
        else { return outcome }
        return (try? await Blocking.run { ProcessFence.end(process, startedAt: start) }) ?? outcome
    }

    /// Puts a proof, or the operator's word for one, into the store: all of it, if nothing has changed
    /// meanwhile.
    private func recordFence(
        _ node: NodeIdentity, _ scope: FenceScope, _ attachment: Decoded<AttachmentRecord>,
        isProof: Bool
    ) async throws -> Bool {
        let name = StoreKeys.attachment(id.description, node.name)
        var compares: [StoreCompare] = [
            .modRevision(name, .equal, attachment.entry.modRevision)
        ]
        var changes: [StoreOperation] = []
        switch scope {
        case .node:
            changes.append(.delete(name))
        case .path:
            var cut = attachment.value
            cut.hasPath = false
            cut.key = nil
            cut.isUnproven = isProof ? nil : true
            changes.append(try .putJSON(name, cut))
        }
        if let owner = snapshot.owner, owner.value.identity == node {
            var fenced = owner.value
            fenced.phase = .fenced
            compares.append(
                .modRevision(
                    StoreKeys.owner(id.description), .equal, owner.entry.modRevision))
            changes.append(try .putJSON(StoreKeys.owner(id.description), fenced))
        }
        return try await context.store.transaction(
            compares: compares, success: changes
        ).succeeded
    }

    private func noteFence(
        _ node: NodeIdentity, _ isProven: Bool, _ outcome: String, _ seconds: Double
    ) {
        if isProven {
            let isMember = snapshot.members[node.name] == node.incarnation
            context.events.note(
                .fenced, .warning, volume: record.name, node: node.name,
                cause: isMember ? "it does not give back what is recalled" : "membership lost",
                outcome: outcome, durationSeconds: seconds,
                "\(node.name) is cut off from \(record.name): \(outcome)")
        } else if lastFenceProblem != outcome {
            context.events.note(
                .fenceFailed, .error, volume: record.name, node: node.name, outcome: outcome,
                durationSeconds: seconds,
                "\(node.name) could not be fenced from \(record.name) (\(outcome)); what it holds "
                    + "stays held: make sure that it is off, and see covol volume state")
        }
        lastFenceProblem = isProven ? nil : outcome
    }

    // MARK: Ownership

    /// Writes the ownership record, if it is still the one that the machine has seen.
    private func putOwner(_ owner: OwnerRecord, after seen: VolumeRecords.Owner) async throws {
        let key = StoreKeys.owner(id.description)
        guard let current = try await context.store.getJSON(key, as: OwnerRecord.self),
            current.value.identity == seen.identity, current.value.epoch == seen.epoch.number
        else { throw NodeError("the ownership record changed meanwhile") }
        guard
            try await context.store.compareAndPutJSON(
                key, modRevision: current.entry.modRevision, owner) != nil
        else { throw NodeError("the ownership record changed meanwhile") }
    }

    private func mine(_ epoch: Epoch, _ phase: OwnerPhase) -> OwnerRecord {
        OwnerRecord(
            node: context.node, incarnation: context.incarnation.number, epoch: epoch.number,
            phase: phase)
    }

    private func seen(_ epoch: Epoch) -> VolumeRecords.Owner {
        VolumeRecords.Owner(identity: me, epoch: epoch, phase: .serving)
    }

    private func claim(_ epoch: Epoch, _ owner: VolumeRecords.Owner) async throws {
        // The machine looked at a record whose owner may write no more; that must still be so.
        guard let known = snapshot.owner, known.value.identity == owner.identity,
            known.value.epoch == owner.epoch.number
        else { throw NodeError("the ownership record changed meanwhile") }
        let key = StoreKeys.owner(id.description)
        let last = StoreKeys.attachment(id.description, owner.identity.name)
        // Neither may the last owner have been attached anew meanwhile, nor another have claimed.
        let attachment = snapshot.attachments[owner.identity.name]
        let response = try await context.store.transaction(
            compares: [
                .modRevision(key, .equal, known.entry.modRevision),
                attachment.map { .modRevision(last, .equal, $0.entry.modRevision) }
                    ?? .missing(last),
            ],
            success: [.putJSON(key, mine(epoch, .assigned))])
        guard response.succeeded else { throw NodeError("another node took over") }
        // Of those that never served nobody needs to know but the log.
        guard lastServedEpoch == owner.epoch.number else { return }
        context.events.note(
            .coordinatorLost, .warning, volume: record.name, node: owner.identity.name,
            cause: owner.phase.rawValue, outcome: "taken over by \(context.node)",
            "\(context.node) takes \(record.name) over from \(owner.identity.name)")
    }

    private func announce(_ epoch: Epoch) async throws {
        try await putOwner(mine(epoch, .serving), after: seen(epoch))
        tookOverAt = epoch.number > 1 ? coordinatorLostAt ?? .now : nil
    }

    private func resign(_ epoch: Epoch, _ phase: OwnerPhase) async throws {
        try await putOwner(mine(epoch, phase), after: seen(epoch))
    }

    // MARK: Coordinating

    private func start(_ epoch: Epoch, _ attached: [String]) async throws {
        guard let kind = record.kind else {
            throw NodeError("\(record.filesystem) is no file system that a volume may have")
        }
        let mark = VolumeMark(
            cluster: context.clusterID, clusterName: context.clusterName, volume: record.id)
        startingEpoch = epoch
        defer { startingEpoch = nil }
        if !path.isRegistered {
            guard await path.restorePath(mayRegister: true) else {
                throw NodeError("this node has no path to the LUN")
            }
        }
        // What this node's own mount holds of an earlier epoch it tells as everybody else.
        let telling = attached + (mount == nil ? [] : [context.node])
        let (device, log) = (path.device, log)
        let onFailure: @Sendable (ErrorCode) -> Void = { [weak self] error in
            log.error(
                "the coordinator cannot make anything durable",
                metadata: ["error": "\(error)", "epoch": "\(epoch)"])
            Task { await self?.send(.coordinatorFailed(epoch)) }
        }
        let host: CoordinatorHost
        do {
            host = try await Blocking.run {
                try CoordinatorHost(
                    device: device, kind: kind, epoch: epoch, mark: mark, attached: telling,
                    log: log, onFailure: onFailure)
            }
        } catch let error as HostFileSystemError where error.code == .inputOutput {
            if path.hasReservations { unprovenEpochs.insert(epoch) }
            throw error
        }
        guard member.coordinatedEpoch == epoch, !abandonedEpochs.contains(epoch) else {
            if try await !giveUp(host) { unprovenEpochs.insert(epoch) }
            throw NodeError("the epoch was given up while it was mounted")
        }
        self.host = host
        mounted.setCoordinator(host.coordinator, epoch)
        log.notice("this node coordinates the volume", metadata: ["epoch": "\(epoch)"])
    }

    /// What is under way at a move and has not ended then, the next coordinator does.
    static let drainTimeout = Duration.seconds(5)

    private func handOver(_ epoch: Epoch, _ target: NodeIdentity) async throws {
        guard let host, host.epoch == epoch else { throw NodeError("it is not mounted") }
        let began = ContinuousClock.now
        await host.coordinator.drain(timeout: Self.drainTimeout)
        try await Blocking.run { try host.stop(removingMark: false) }
        forgetHost()
        let next = OwnerRecord(
            node: target.name, incarnation: target.incarnation.number, epoch: epoch.number + 1,
            phase: .assigned)
        try await putOwner(next, after: seen(epoch))
        context.events.note(
            .coordinatorMoved, volume: record.name, node: target.name, cause: "asked for",
            outcome: "handed over", durationSeconds: began.duration(to: .now).seconds,
            "the coordinator of \(record.name) moves from \(context.node) to \(target.name)")
    }

    /// True: nothing of the epoch is left, and its mount is proven to be gone.
    private func abandon(_ epoch: Epoch) async -> Bool {
        abandonedEpochs.insert(epoch)
        // A mount that is under way takes itself down again.
        for _ in 0..<500 where startingEpoch == epoch {
            try? await Task.sleep(for: .milliseconds(20))
        }
        guard startingEpoch != epoch else { return false }
        guard let host, host.epoch == epoch else {
            return host == nil && !unprovenEpochs.contains(epoch)
        }
        forgetHost()
        return (try? await giveUp(host)) ?? false
    }

    /// Takes a coordinator's mount down. True: nothing of it can land any more.
    private func giveUp(_ host: CoordinatorHost) async throws -> Bool {
        let epoch = host.epoch
        hangingEpochs.insert(epoch)
        let end = try await Blocking.run {
            host.abandon { [weak self] in
                Task { await self?.cleared(epoch) }
            }
        }
        switch end {
        case .hangs:
            log.warning(
                "what was given up is not unmounted yet; does the path to the LUN answer?",
                metadata: ["epoch": "\(epoch)"])
            return false
        case .unmounted(let hasFailed):
            hangingEpochs.remove(epoch)
            // What only the path gave up, the target may still have: a fence ends that.
            return !hasFailed || !path.hasReservations
        }
    }

    private func cleared(_ epoch: Epoch) { hangingEpochs.remove(epoch) }

    /// Whether this node's path may be given a new key: nothing that it coordinated is on its way.
    var mayRegister: Bool { member.mayRegister && hangingEpochs.isEmpty && startingEpoch == nil }

    func forgetHost() {
        host = nil
        mounted.setCoordinator(nil, nil)
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
