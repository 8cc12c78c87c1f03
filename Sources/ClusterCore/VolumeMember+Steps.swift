import VolumeModel

extension VolumeMember {
    /// Attaches, or takes note that others have fenced this node.
    mutating func lookAfterMyself(_ now: UInt64, _ actions: inout [VolumeMemberAction]) {
        let mine = records.attachments[me.name]
        if isAttached, mine?.incarnation != me.incarnation, !working.contains(.attach),
            records.owner != nil, !records.isRemoving
        {
            if let epoch = role.epoch { abandon(epoch, &actions) }
            begin(.loss, .loseEverything, now, &actions)
            return
        }
        guard !isAttached, !records.isRemoving, isLeaseValid, records.owner != nil else { return }
        // So has what it coordinated itself to be over: a new key would let in what that still sends.
        guard isDrained && mayRegister || !rules.contains(.drainedBeforeRejoin) else { return }
        if let mine, mine.incarnation != me.incarnation {
            // An earlier life's attachment stays until that life is proven to be over.
            let earlier = NodeIdentity(name: me.name, incarnation: mine.incarnation)
            begin(.fence(earlier), .fence(earlier, .node), now, &actions)
            return
        }
        begin(.attach, .attach, now, &actions)
    }

    /// A coordinator's own duties: leave when it must, move when it is told to, and see to the nodes
    /// that are gone.
    mutating func coordinate(_ now: UInt64, _ actions: inout [VolumeMemberAction]) {
        guard let epoch = role.epoch, let owner = records.owner else { return }
        if case .leaving = role { return }
        let isMine = owner.identity == me && owner.epoch == epoch
        let isLost = owner.phase == .failed || owner.phase == .fenced
        // The record that was claimed may not have come back with the watch yet.
        if owner.epoch >= epoch, !isMine || isLost {
            abandon(epoch, &actions)
            return
        }
        guard isLeaseValid || !rules.contains(.oneCoordinator) else {
            abandon(epoch, &actions)
            return
        }
        // Before there is a coordinator nobody could be told whom to drop.
        if role == .mounting(epoch) { return }
        if role == .mounted(epoch) { begin(.announce, .announce(epoch), now, &actions) }
        if role == .serving(epoch), let target = owner.moveTarget, target != me.name,
            let incarnation = records.members[target]
        {
            role = .leaving(epoch)
            actions.append(
                .handOver(epoch, to: NodeIdentity(name: target, incarnation: incarnation)))
            return
        }
        fenceLostNodes(now, &actions)
    }

    /// Rule fence-before-forget: a node that is no member any more keeps what it has until the fence,
    /// with which its attachment goes.
    private mutating func fenceLostNodes(_ now: UInt64, _ actions: inout [VolumeMemberAction]) {
        let present = attachedNow
        for node in attachedNodes.subtracting(present).sorted(by: { $0.name < $1.name }) {
            actions.append(.forget(node))
        }
        attachedNodes = present
        for node in present.sorted(by: { $0.name < $1.name })
        where node.name != me.name && !records.isMember(node) {
            if !rules.contains(.fenceBeforeForget) { actions.append(.forget(node)) }
            begin(.fence(node), .fence(node, .node), now, &actions)
        }
    }

    /// A member that does not give back what is recalled: first its path is cut, with which it goes on
    /// redirected and answers; one that does not answer even then is cut off itself. This node's own
    /// path is looked after where it hangs.
    mutating func fenceOverdue(
        _ node: NodeIdentity, _ scope: FenceScope, _ now: UInt64,
        _ actions: inout [VolumeMemberAction]
    ) {
        guard case .serving = role, isLeaseValid, node.name != me.name,
            let attachment = records.attachments[node.name],
            attachment.incarnation == node.incarnation,
            attachment.hasPath || scope == .node
        else { return }
        begin(.fence(node), .fence(node, scope), now, &actions)
    }

    private var attachedNow: Set<NodeIdentity> {
        Set(
            records.attachments.map {
                NodeIdentity(name: $0.key, incarnation: $0.value.incarnation)
            })
    }

    /// Mounts what this node was given, and takes over from a coordinator that is gone.
    mutating func takeOver(_ now: UInt64, _ actions: inout [VolumeMemberAction]) {
        guard role == .none, let owner = records.owner, !records.isRemoving else { return }
        if owner.identity == me, owner.phase == .assigned || owner.phase == .serving {
            if let ended, ended.epoch == owner.epoch {
                begin(.resign, .resign(owner.epoch, ended.phase), now, &actions)
                return
            }
            guard owner.phase == .assigned, isAttached, isLeaseValid else { return }
            guard isPathUsable else {
                // For good, even if the path is back before the records say so: others may have taken
                // the volume by then.
                ended = (owner.epoch, .released)
                begin(.resign, .resign(owner.epoch, .released), now, &actions)
                return
            }
            role = .mounting(owner.epoch)
            attachedNodes = attachedNow
            actions.append(.mount(owner.epoch, attached: attachedOthers))
            return
        }
        guard isVacant(owner) else {
            vacantSinceNanoseconds = nil
            return
        }
        let since = vacantSinceNanoseconds ?? now
        vacantSinceNanoseconds = since
        guard isLeaseValid, let rank = candidateRank(owner),
            now >= since &+ UInt64(rank) &* timings.candidateNanoseconds
        else { return }
        let mustFence = owner.phase != .released && owner.phase != .fenced
        if mustFence, records.mayWrite(owner.identity), rules.contains(.oneCoordinator) {
            let scope: FenceScope = records.isMember(owner.identity) ? .path : .node
            begin(.fence(owner.identity), .fence(owner.identity, scope), now, &actions)
            return
        }
        guard isAttached, isPathUsable else { return }
        begin(.claim, .claim(Epoch(owner.epoch.number + 1), after: owner), now, &actions)
    }

    private var attachedOthers: [String] {
        records.attachments.keys.filter { $0 != me.name }.sorted()
    }

    /// Nobody coordinates, or whoever did is no member any more.
    private func isVacant(_ owner: VolumeRecords.Owner) -> Bool {
        switch owner.phase {
        case .released, .failed, .fenced: true
        case .assigned, .serving: !records.isMember(owner.identity)
        }
    }

    /// This node's place among those that could coordinate: the fewest volumes first.
    private func candidateRank(_ owner: VolumeRecords.Owner) -> Int? {
        // Whoever gave it up is the last to take it again.
        func order(_ name: String) -> (Int, Int, String) {
            let gaveUp = name == owner.identity.name && owner.phase != .serving
            return (gaveUp ? 1 : 0, records.load[name] ?? 0, name)
        }
        let candidates = records.members.keys.filter { name in
            name == me.name ? isPathUsable : records.attachments[name]?.hasPath ?? true
        }
        return candidates.sorted { order($0) < order($1) }.firstIndex(of: me.name)
    }

    /// Follows the coordinator of the present epoch.
    mutating func openSession(_ now: UInt64, _ actions: inout [VolumeMemberAction]) {
        guard let owner = records.owner, owner.phase == .serving, session != owner.epoch,
            isAttached || !rules.contains(.attachedBeforeLayout), !records.isRemoving,
            !working.contains(.loss)
        else { return }
        begin(.session, .openSession(owner.epoch, owner.identity), now, &actions)
    }
}
