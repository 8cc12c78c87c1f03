import ClusterCore
import VolumeModel

/// What the state machine of membership and ownership decides, done.
extension SimulatedHost {
    func perform(_ action: VolumeMemberAction) {
        simulation.trace(name, "\(action)")
        switch action {
        case .attach: attach()
        case .fence(let victim, let scope): fence(victim, scope)
        case .claim(let epoch, let after): claim(epoch, after)
        case .mount(let epoch, let attached): mount(epoch, attached)
        case .announce(let epoch): announce(epoch)
        case .handOver(let epoch, let target): handOver(epoch, target)
        case .abandon(let epoch): abandon(epoch)
        case .resign(let epoch, let phase): resign(epoch, phase)
        case .forget(let node): coordinator?.forget(node)
        case .openSession(let epoch, let coordinator):
            client.openSession(epoch, coordinator) { [self] succeeded in
                handle(.sessionOpened(epoch, succeeded))
            }
        case .loseEverything:
            client.loseEverything { [self] in handle(.lostEverything) }
        }
    }

    private func transact(
        _ body: @escaping (SimulatedStore) -> Bool, _ answer: @escaping (Bool) -> Void
    ) {
        // The state machine waits for an answer: a transaction whose answer is lost has failed for it.
        var isAnswered = false
        simulation.store.transact(from: self, body) { succeeded in
            guard !isAnswered else { return }
            isAnswered = true
            answer(succeeded)
        }
        after(.milliseconds(700)) {
            guard !isAnswered else { return }
            isAnswered = true
            answer(false)
        }
    }

    private func attach() {
        simulation.lastKey += 1
        let key = simulation.lastKey
        guard simulation.lun.register(key, node: index) else {
            after(.milliseconds(1)) { [self] in handle(.attached(false)) }
            return
        }
        let me = identity
        transact { store in
            // Another life's attachment is not this one's to replace.
            if let there = store.attachments[me.name],
                there.incarnation != me.incarnation || there.key > key
            {
                return false
            }
            store.attachments[me.name] = .init(
                incarnation: me.incarnation, hasPath: true, key: key)
            return true
        } _: { [self] succeeded in
            client.pathKey = key
            handle(.attached(succeeded))
        }
    }

    private func fence(_ victim: NodeIdentity, _ scope: FenceScope) {
        var isAnswered = false
        func end(_ isProven: Bool) {
            guard !isAnswered else { return }
            isAnswered = true
            handle(.fenced(victim, scope, isProven: isProven))
        }
        after(.milliseconds(5000)) { end(false) }
        simulation.store.transact(from: self) { store in
            (
                store.attachments[victim.name].flatMap {
                    $0.incarnation == victim.incarnation ? $0 : nil
                }, store.leaseEnd(victim)
            )
        } answer: { [self] attachment, leaseEnd in
            guard let attachment else {
                end(true)
                return
            }
            if simulation.scenario.isLeaseOnly {
                fenceByWaiting(victim, scope, leaseEnd, attachment.key, end)
            } else {
                fenceByReservation(victim, scope, attachment.key, end)
            }
        }
    }

    /// The full wait: the lease, and all that any queue may hold.
    private func fenceByWaiting(
        _ victim: NodeIdentity, _ scope: FenceScope, _ leaseEnd: UInt64, _ key: UInt64,
        _ end: @escaping (Bool) -> Void
    ) {
        let lease = leaseEnd > simulation.now ? leaseEnd - simulation.now : 0
        let full = leaseEnd == 0 ? ClusterTimings.simulated.leaseNanoseconds : lease
        after(full + 2 * simulation.scenario.lateMaximum) { [self] in
            let isOver = simulation.store.leaseEnd(victim) <= simulation.now
            guard isOver else {
                end(false)
                return
            }
            recordFence(victim, scope, key, end)
        }
    }

    private func fenceByReservation(
        _ victim: NodeIdentity, _ scope: FenceScope, _ key: UInt64,
        _ end: @escaping (Bool) -> Void
    ) {
        let maximum = simulation.scenario.fenceMaximum
        after(simulation.random.within(.microseconds(100)...maximum)) { [self] in
            // Alone, the end of the earlier process has to do: rule drained-before-rejoin has seen
            // that nothing of it is in flight.
            let isDrained = !simulation.lun.hasFlights(of: index)
            if victim.name == name, victim != identity, simulation.random.chance(0.5),
                isDrained || !simulation.rules.contains(.drainedBeforeRejoin)
            {
                recordFence(victim, scope, key, end)
                return
            }
            // A path does not preempt itself: for an earlier life of its own another node does.
            let others = simulation.nodes.filter { $0.isRunning && $0.name != victim.name }
            let agent = victim.name == name ? others.first?.index : index
            guard let agent, simulation.lun.preempt(key, through: agent) else {
                end(false)
                return
            }
            simulation.counts.fences += 1
            recordFence(victim, scope, key, end)
        }
    }

    /// In one transaction: the attachment goes or loses its path, and the ownership record is fenced.
    private func recordFence(
        _ victim: NodeIdentity, _ scope: FenceScope, _ key: UInt64,
        _ end: @escaping (Bool) -> Void
    ) {
        transact { [simulation] store in
            guard let there = store.attachments[victim.name],
                there.incarnation == victim.incarnation
            else { return true }
            guard there.key == key else { return false }
            switch scope {
            case .path: store.attachments[victim.name]?.hasPath = false
            case .node:
                store.attachments[victim.name] = nil
                simulation.oracle.fenced(victim)
            }
            if store.owner?.identity == victim, store.owner?.phase != .released {
                store.owner?.phase = .fenced
            }
            return true
        } _: { succeeded in
            end(succeeded)
        }
    }

    private func claim(_ epoch: Epoch, _ after: VolumeRecords.Owner) {
        let me = identity
        let mustBeFenced =
            after.phase != .released && after.phase != .fenced
            && simulation.rules.contains(.oneCoordinator)
        transact { store in
            // The predecessor may have attached since the records were read: then it has to be fenced.
            guard store.owner == after,
                !mustBeFenced || !store.records.mayWrite(after.identity)
            else { return false }
            store.owner = VolumeRecords.Owner(identity: me, epoch: epoch, phase: .assigned)
            return true
        } _: { [self] succeeded in
            handle(.claimed(epoch, succeeded))
        }
    }

    private func announce(_ epoch: Epoch) {
        let me = identity
        transact { store in
            guard store.owner?.identity == me, store.owner?.epoch == epoch else { return false }
            store.owner?.phase = .serving
            return true
        } _: { [self] succeeded in
            handle(.announced(epoch, succeeded))
        }
    }

    private func resign(_ epoch: Epoch, _ phase: OwnerPhase) {
        let me = identity
        transact { store in
            guard store.owner?.identity == me, store.owner?.epoch == epoch else { return true }
            store.owner?.phase = phase
            return true
        } _: { [self] succeeded in
            handle(.resigned(epoch, succeeded))
        }
    }

    private func mount(_ epoch: Epoch, _ attached: [String]) {
        mountingEpoch = epoch
        let delay = simulation.random.within(.milliseconds(5) ... .milliseconds(80))
        after(delay) { [self] in
            // It may have been given up meanwhile.
            guard mountingEpoch == epoch else { return }
            mountingEpoch = nil
            guard let coordinator = SimulatedCoordinator(host: self, epoch: epoch) else {
                handle(.mounted(epoch, false))
                return
            }
            self.coordinator = coordinator
            // This node's own programs have files open, too.
            coordinator.start(attached: attached + [name])
            handle(.mounted(epoch, true))
        }
    }

    private func handOver(_ epoch: Epoch, _ target: NodeIdentity) {
        guard let coordinator, coordinator.epoch == epoch else {
            handle(.handedOver(epoch, false))
            return
        }
        coordinator.stop { [self] isClean in
            self.coordinator = nil
            guard isClean else {
                handle(.handedOver(epoch, false))
                return
            }
            let me = identity
            transact { store in
                guard store.owner?.identity == me, store.owner?.epoch == epoch else {
                    return false
                }
                store.owner = VolumeRecords.Owner(
                    identity: target, epoch: Epoch(epoch.number + 1), phase: .assigned)
                return true
            } _: { [self] succeeded in
                handle(.handedOver(epoch, succeeded))
            }
        }
    }

    private func abandon(_ epoch: Epoch) {
        mountingEpoch = nil
        coordinator?.crash()
        coordinator = nil
        after(simulation.random.within(.milliseconds(1) ... .milliseconds(30))) { [self] in
            let isProven = !simulation.lun.hasMetadataFlights(of: index)
            handle(.abandoned(epoch, isProven: isProven))
        }
    }
}

extension SimulatedHost {
    /// What another node does for one whose path has failed: proves that nothing of it can land.
    func fenceOwnPath(_ answer: @escaping (Bool) -> Void) {
        let key = client.pathKey
        let me = identity
        let others = simulation.nodes.filter { $0.isRunning && $0.index != index }
        guard !others.isEmpty else {
            after(.milliseconds(300)) { answer(false) }
            return
        }
        let helper = simulation.random.pick(others)
        var isAnswered = false
        func end(_ isProven: Bool) {
            guard !isAnswered else { return }
            isAnswered = true
            answer(isProven)
        }
        after(.milliseconds(800)) { end(false) }
        if simulation.scenario.isLeaseOnly {
            // Nobody can abort: what any queue may hold has ended after its bound.
            after(2 * simulation.scenario.lateMaximum) { end(true) }
            return
        }
        send(to: helper) { [self] in
            guard simulation.lun.preempt(key, through: helper.index) else { return }
            simulation.counts.fences += 1
            helper.transactPathLost(me, key) { [self] in
                helper.send(to: self) { end(true) }
            }
        }
    }

    private func transactPathLost(
        _ victim: NodeIdentity, _ key: UInt64, _ done: @escaping () -> Void
    ) {
        simulation.store.transact(from: self) { store in
            if store.attachments[victim.name]?.key == key {
                store.attachments[victim.name]?.hasPath = false
                if store.owner?.identity == victim, store.owner?.phase != .released {
                    store.owner?.phase = .fenced
                }
            }
        } answer: {
            done()
        }
    }

    /// Takes the path into use again: under its key, where that is still registered, else under a new
    /// one, and says so in the attachment first.
    func restoreOwnPath(_ answer: @escaping (Bool) -> Void) {
        guard let lun = simulation.lun else { return }
        var key = lun.paths[index].key
        if !lun.isReserved || !lun.isRegistered(index) {
            guard coordinator == nil, member.mayRegister else {
                after(.milliseconds(50)) { answer(false) }
                return
            }
            simulation.lastKey += 1
            key = simulation.lastKey
            guard lun.register(key, node: index) else {
                after(.milliseconds(1)) { answer(false) }
                return
            }
        }
        let me = identity
        transact { store in
            guard let there = store.attachments[me.name], there.incarnation == me.incarnation,
                there.key < key || there.key == key && there.hasPath
            else { return false }
            store.attachments[me.name]?.hasPath = true
            store.attachments[me.name]?.key = key
            return true
        } _: { [self] succeeded in
            if succeeded { client.pathKey = key }
            answer(succeeded)
        }
    }
}
