import ClusterCore
import ClusterStore
import CoordinatorService
import Glibc
import Logging
import NIOCore
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

extension VolumeInstance {
    // MARK: As a coordinator

    /// Serves a peer's message to this volume's coordinator (rule epoch-in-every-message).
    nonisolated func serve(
        _ message: NodeMessage, payload: ByteBuffer?, from peer: PeerIdentity
    ) async -> (CoordinatorReply, ByteBuffer?) {
        guard let (coordinator, epoch) = mounted.coordinatorWithEpoch else {
            return (.refused(.notCoordinator), nil)
        }
        let header = message.header
        if let refusal = refusal(of: header, epoch) { return (.refused(refusal), nil) }
        let session = NodeIdentity(name: peer.node, incarnation: header.incarnation)
        switch message {
        case .openSession(_, let firstSequence):
            // Rules attached-before-layout, fence-before-forget: the store knows who may come.
            guard await isAttached(session) else { return (.refused(.oldIncarnation), nil) }
            let server = context.connections
            coordinator.beginAnew(session, firstSequence: firstSequence)
            coordinator.openSession(
                session,
                port: PeerPort(
                    header: header, connections: { server(peer) }, log: context.log))
            // What the node's process before had asked for comes to its end first.
            for _ in 0..<200 where !coordinator.isSettled(session) {
                try? await Task.sleep(for: .milliseconds(20))
            }
            guard coordinator.isSettled(session) else { return (.refused(.noSession), nil) }
            return (.sessionOpened(root: coordinator.root), nil)
        case .closeSession:
            coordinator.endSession(session)
            return (.sessionClosed, nil)
        case .request(_, let sequence, let slot, let operation):
            return await withCheckedContinuation { continuation in
                serve(
                    header, sequence: sequence, slot: slot, operation, payload: payload, from: peer
                ) { continuation.resume(returning: ($0, $1)) }
            }
        }
    }

    /// Serves a peer's request without a task that waits; does not block.
    nonisolated func serve(
        _ header: MessageHeader, sequence: UInt64, slot: UInt16,
        _ operation: VolumeProtocol.Operation, payload: ByteBuffer?, from peer: PeerIdentity,
        completion: @escaping @Sendable (CoordinatorReply, ByteBuffer?) -> Void
    ) {
        guard let (coordinator, epoch) = mounted.coordinatorWithEpoch else {
            return completion(.refused(.notCoordinator), nil)
        }
        if let refusal = refusal(of: header, epoch) { return completion(.refused(refusal), nil) }
        let session = NodeIdentity(name: peer.node, incarnation: header.incarnation)
        coordinator.request(
            session, sequence: sequence, slot: slot, operation, payload: payload
        ) { result in
            switch result {
            case .failure(let refusal):
                completion(.refused(refusal), nil)
            // What is shown must come from whoever is still the coordinator (one-coordinator).
            case .success where !self.mayAnswer(epoch):
                completion(.refused(.notCoordinator), nil)
            case .success(let answer):
                completion(
                    .result(sequence: sequence, answer.result, answer.grant), answer.payload)
            }
        }
    }

    /// Why a message of another epoch is not taken.
    nonisolated private func refusal(of header: MessageHeader, _ epoch: Epoch) -> Refusal? {
        header.epoch == epoch ? nil : header.epoch < epoch ? .oldEpoch : .newerEpoch
    }

    /// This node coordinates the epoch, as far as it may say so itself.
    nonisolated private func mayAnswer(_ epoch: Epoch) -> Bool {
        context.membership.isValid && mounted.coordinatorWithEpoch?.1 == epoch
    }

    nonisolated private func isAttached(_ node: NodeIdentity) async -> Bool {
        let found = try? await context.store.getJSON(
            StoreKeys.attachment(id.description, node.name), as: AttachmentRecord.self)
        return found?.value.incarnation == node.incarnation.number
    }

    // MARK: As a node

    /// Answers a coordinator's message to this node's mount.
    nonisolated func answer(
        _ message: CoordinatorMessage, from peer: PeerIdentity
    ) async -> NodeReply {
        let header = message.header
        guard header.incarnation == context.incarnation else { return .refused(.oldIncarnation) }
        guard let (node, epoch) = mounted.coordinatorInUse, node == peer.node else {
            return .refused(.notCoordinator)
        }
        guard header.epoch >= epoch else { return .refused(.oldEpoch) }
        guard header.epoch == epoch else { return .refused(.newerEpoch) }
        switch message {
        case .recall(_, let file, let range, let generation):
            guard let mount = mounted.mount else { return .returned(WriteReport()) }
            return .returned(await mount.recall(file, range, generation))
        case .collectWrites(_, let file):
            return .collected(mounted.mount?.collectWrites(file) ?? WriteReport())
        case .recallMetadata(_, let file):
            mounted.mount?.recallMetadata(file)
            return .returned(WriteReport())
        }
    }

    /// Another node asks to have its path cut, because it cannot say itself what of it may still land.
    func fencePath(_ request: FencePathRequest, of node: String) async -> FencePathAnswer {
        await refresh()
        guard snapshot.attachments[node]?.value.key == request.key else {
            return FencePathAnswer(isProven: false, text: "that is not the key of \(node)'s path")
        }
        let outcome = await path.preempt(request.key)
        if outcome.isProven {
            context.events.note(
                .fenced, .warning, volume: record.name, node: node, cause: "its path failed",
                outcome: outcome.text,
                "the path of \(node) to \(record.name) is cut, so that nothing of it lands late; "
                    + "its I/O goes through the coordinator")
        }
        return FencePathAnswer(isProven: outcome.isProven, text: outcome.text)
    }

    /// Opens a session with an epoch's coordinator and, where there was one with another before, tells
    /// it what is held here.
    func openSession(_ epoch: Epoch, _ node: NodeIdentity) async throws {
        if member.sessionEpoch != nil, member.sessionEpoch != epoch {
            link.disconnect()
            await mount?.leave()
        }
        let isFirst = mount == nil
        mounted.setCoordinatorInUse(node.name, epoch)
        let root: FileEntry
        if node == me {
            guard let host, host.epoch == epoch else {
                throw NodeError("the coordinator of this node is not there")
            }
            host.coordinator.openSession(
                me, port: LocalPort(mount: { [mounted] in mounted.mount }))
            link.connect(host.coordinator, as: me, reclaims: true) { [weak self] in
                self?.mayAnswer(epoch) ?? false
            }
            root = host.coordinator.root
        } else {
            let client = try await context.peers().client(for: node.name)
            root = try await link.connect(
                client,
                MessageHeader(volume: id, epoch: epoch, incarnation: context.incarnation),
                reclaims: true)
        }
        let telling = link.reclaimLink()
        if let mount {
            guard await mount.join(epoch: epoch.number, through: telling) else {
                throw NodeError("the coordinator was lost while it was told what is held here")
            }
        } else if case .failed(let error) = await telling.call(
            .reclaimed, payload: nil, sent: nil
        ).result {
            throw NodeError("the coordinator takes nothing from this node: \(error)")
        }
        link.reclaimed()
        if isFirst { try await mountVolume(root.handle, epoch) }
    }

    /// A daemon that has gone on with a mount for so long does not end because of it.
    private static let stableAfter = Duration.seconds(2)

    /// Goes on with what an earlier process of this daemon served; before anything else.
    func resumeMount() async {
        guard let resumed else { return }
        self.resumed = nil
        do {
            try await Blocking.run { [path] in
                path.resume(key: resumed.key, isRegistered: resumed.hasPath)
            }
            try await makeMount(at: resumed.mount.path, root: nil, resumed.mount)
            keepMount()
            context.resumption?.ended(id)
            Task { [weak self] in
                try? await Task.sleep(for: Self.stableAfter)
                self?.context.keeper.count(attempts: 0)
                await self?.keepMount()
            }
            if let mount { Task { [weak self] in await self?.watchForLostRequests(mount) } }
            hasDrained = true
            send(.resumed(over: resumed.endedEpoch))
            context.events.note(
                .mountResumed, volume: record.name, outcome: "files that were open stay open",
                "the daemon of \(context.node) goes on with \(record.name) where the one before "
                    + "ended")
        } catch {
            log.critical(
                "the mount of the daemon before cannot be gone on with: the daemon starts anew",
                metadata: ["error": "\(error)"])
            startAnew()
        }
    }

    private func mountVolume(_ root: VolumeModel.FileHandle, _ epoch: Epoch) async throws {
        let shown = context.path(of: record.name)
        try MountPoint.make(shown)
        try await makeMount(at: shown, root: root, nil)
        mount?.began(epoch: epoch.number)
        keepMount()
    }

    /// Has the holder keep the mount for a later process of this daemon.
    func keepMount() {
        if let mount { context.keeper.keep(id, mount) }
    }

    private func makeMount(
        at shown: String, root: VolumeModel.FileHandle?, _ resumed: ResumedMount?
    ) async throws {
        let (name, link, log, mounted, path) = (record.name, link, log, mounted, path)
        let (id, keeper) = (id, context.keeper)
        let pathGuard = InstancePathGuard(self)
        let hasPath = path.isRegistered
        // States come one after the other, in their order.
        let (states, changes) = AsyncStream.makeStream(of: MountState.self)
        let mount = try await Blocking.run {
            try VolumeMount(
                device: path.device, path: shown, source: name, root: root, link: link,
                pathGuard: pathGuard, hasPath: hasPath, log: log, resumed: resumed,
                onState: { changes.yield($0) },
                onEnd: { reason in
                    log.notice("the volume's mount has ended", metadata: ["reason": "\(reason)"])
                    keeper.drop(id)
                    mounted.end()
                    changes.finish()
                })
        }
        mounted.begin(mount)
        Task { [weak self] in
            for await state in states { await self?.mountStateChanged(state) }
        }
        log.notice("the volume is there", metadata: ["path": "\(shown)"])
        await publishState()
    }

    func showAtItsName() throws {
        guard let mount = mounted.mount else { return }
        let path = context.path(of: record.name)
        let old = mount.path
        guard old != path else { return }
        try MountPoint.make(path)
        try mount.move(to: path)
        MountPoint.remove(old)
        keepMount()
        log.notice("the volume was renamed", metadata: ["path": "\(path)"])
    }

    /// Others have fenced this node while it lived: what it had open is lost, and it begins again.
    func loseEverything() async {
        link.loseEverything()
        context.events.note(
            .opensLost, .error, volume: record.name, cause: "this node was fenced",
            outcome: "files that were open answer EIO",
            "\(context.node) was fenced from \(record.name) while it lived: what was open there is "
                + "lost; programs must open their files again")
        await mount?.loseEverything()
    }

    /// What an earlier life of this daemon left on this node goes before this one speaks (rule
    /// drained-before-rejoin).
    func drain() async {
        // Once: later it would take away what this life shows.
        guard !hasDrained, !isDraining else { return }
        isDraining = true
        let shown = context.path(of: record.name)
        _ = try? await Blocking.run { MountPoint.removeLeft(shown) }
        hasDrained = true
        send(.drained)
    }
}

extension NodeMessage {
    var header: MessageHeader {
        switch self {
        case .openSession(let header, _), .request(let header, _, _, _), .closeSession(let header):
            header
        }
    }
}

extension CoordinatorMessage {
    var header: MessageHeader {
        switch self {
        case .recall(let header, _, _, _), .collectWrites(let header, _),
            .recallMetadata(let header, _):
            header
        }
    }
}
