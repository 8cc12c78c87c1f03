import ClusterStore
import CoordinatorService
import Foundation
import Glibc
import Logging
import NIOCore
import Synchronization
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// One volume on this node: its coordinator, if that runs here, its session and its mount. It is taken
/// step by step to what the cluster's records say; a step that fails is tried again.
actor VolumeInstance {
    let id: VolumeID
    private let context: NodeContext
    private let log: Logger
    private let link: SessionLink
    private let mounted = MountBox()
    private var host: CoordinatorHost?
    private var record: VolumeRecord
    private var owner: OwnerRecord?
    private var sessionEpoch: UInt64?
    private var problem: String?

    init(id: VolumeID, record: VolumeRecord, context: NodeContext) {
        self.id = id
        self.record = record
        self.context = context
        var log = context.log
        log[metadataKey: "volume"] = "\(record.name)"
        self.log = log
        link = SessionLink(log: log)
    }

    nonisolated var mount: VolumeMount? { mounted.mount }
    nonisolated var coordinator: Coordinator? { mounted.coordinator }
    nonisolated var coordinatorEpoch: Epoch? { mounted.epoch }

    private var header: MessageHeader {
        MessageHeader(
            volume: id, epoch: Epoch(owner?.epoch ?? 0), incarnation: context.incarnation)
    }

    /// Takes note of the records, and does what they ask. True: nothing is left to do.
    func update(_ record: VolumeRecord, _ owner: OwnerRecord?) async -> Bool {
        self.record = record
        self.owner = owner
        do {
            if record.phase == .removing {
                try await remove()
            } else {
                try await serve()
            }
            problem = nil
            await publishState()
            return record.phase == .active
        } catch {
            if problem != "\(error)" {
                log.warning("a volume is not in order yet", metadata: ["error": "\(error)"])
            }
            problem = "\(error)"
            await publishState()
            return false
        }
    }

    private func serve() async throws {
        guard let owner else { throw NodeError("the volume has no coordinator yet") }
        if owner.node == context.node { try await coordinate(owner) }
        guard self.owner?.phase == .serving else {
            throw NodeError("the coordinator on \(owner.node) is not ready")
        }
        try await attach()
        try await openSession()
        try showAtItsName()
    }

    // MARK: Coordinating

    private func coordinate(_ owner: OwnerRecord) async throws {
        if let host, host.epoch.number == owner.epoch, owner.phase == .serving { return }
        let key = StoreKeys.owner(id.description)
        guard let current = try await context.store.getJSON(key, as: OwnerRecord.self) else {
            throw NodeError("the ownership record is gone")
        }
        var mine = current.value
        guard mine.node == context.node else { throw NodeError("the volume has moved") }
        if host == nil {
            // A life of this node that ended without a release left its epoch: the next one begins.
            if mine.incarnation != context.incarnation.number || mine.phase != .assigned {
                mine.epoch += 1
            }
            mine.incarnation = context.incarnation.number
            mine.phase = .assigned
            guard
                let revision = try await context.store.compareAndPutJSON(
                    key, modRevision: current.entry.modRevision, mine)
            else { throw NodeError("the ownership record changed meanwhile") }
            try await start(mine)
            mine.phase = .serving
            guard try await context.store.compareAndPutJSON(key, modRevision: revision, mine) != nil
            else { throw NodeError("the ownership record changed while the volume was mounted") }
        }
        self.owner = mine
    }

    private func start(_ owner: OwnerRecord) async throws {
        guard let kind = record.kind else {
            throw NodeError("\(record.filesystem) is no file system that a volume may have")
        }
        // Who may hold layouts of an earlier epoch, and so must come back before anything changes.
        let prefix = StoreKeys.attachments(id.description)
        let attached = try await context.store.range(prefix: prefix).entries
            .map { String($0.key.dropFirst(prefix.count)) }
            .filter { $0 != context.node }
        let device = record.device
        let mark = VolumeMark(
            cluster: context.clusterID, clusterName: context.clusterName, volume: record.id)
        let log = log
        let host = try await Blocking.run {
            try CoordinatorHost(
                device: device, kind: kind, epoch: Epoch(owner.epoch), mark: mark,
                attached: attached, log: log)
        }
        self.host = host
        mounted.grace.begin(waitingFor: attached)
        mounted.setCoordinator(host.coordinator, host.epoch)
        log.notice("this node coordinates the volume", metadata: ["epoch": "\(owner.epoch)"])
    }

    /// Serves a peer's message to this volume's coordinator.
    nonisolated func serve(
        _ message: NodeMessage, payload: ByteBuffer?, from peer: PeerIdentity
    ) async -> (CoordinatorReply, ByteBuffer?) {
        guard let coordinator = mounted.coordinator, let epoch = mounted.epoch else {
            return (.refused(.notCoordinator), nil)
        }
        let header = message.header
        guard header.epoch >= epoch else { return (.refused(.oldEpoch), nil) }
        guard header.epoch == epoch else { return (.refused(.newerEpoch), nil) }
        let session = NodeIdentity(name: peer.node, incarnation: header.incarnation)
        switch message {
        case .openSession:
            let server = context.connections
            coordinator.openSession(
                session,
                port: PeerPort(
                    header: header, connections: { server(peer) }, log: context.log))
            return (.sessionOpened(root: coordinator.root), nil)
        case .closeSession:
            coordinator.endSession(session)
            return (.sessionClosed, nil)
        case .request(_, let sequence, let slot, let operation):
            await mounted.grace.wait(for: operation, of: peer.node)
            guard coordinator.hasSession(session) else { return (.refused(.noSession), nil) }
            do throws(Refusal) {
                if case .root = operation {
                    // With this question a node says that it has told everything.
                    _ = try await coordinator.request(session, sequence: .max, .reclaimed)
                }
                let answer = try await coordinator.request(
                    session, sequence: sequence, slot: slot, operation, payload: payload)
                return (.result(sequence: sequence, answer.result), answer.payload)
            } catch {
                return (.refused(error), nil)
            }
        }
    }

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
        }
    }

    // MARK: Serving

    private func attach() async throws {
        guard mounted.mount == nil else { return }
        try await context.store.putJSON(
            StoreKeys.attachment(id.description, context.node),
            AttachmentRecord(incarnation: context.incarnation.number))
    }

    private func openSession() async throws {
        guard let owner, sessionEpoch != owner.epoch || mounted.mount == nil else { return }
        if sessionEpoch != nil, sessionEpoch != owner.epoch, let mount = mounted.mount {
            link.disconnect()
            await mount.leave()
            sessionEpoch = nil
        }
        let root: FileEntry
        if owner.node == context.node, let host {
            if let missing = mounted.grace.missing {
                throw NodeError("waiting for \(missing) to tell what it has open")
            }
            let session = NodeIdentity(name: context.node, incarnation: context.incarnation)
            host.coordinator.openSession(
                session, port: LocalPort(mount: { [mounted] in mounted.mount }))
            link.connect(host.coordinator, as: session)
            root = host.coordinator.root
        } else {
            let client = try await context.peers().client(for: owner.node)
            mounted.setCoordinatorInUse(owner.node, Epoch(owner.epoch))
            root = try await link.connect(client, header)
        }
        sessionEpoch = owner.epoch
        if let mount = mounted.mount {
            await mount.join()
        } else {
            // Nothing of this life is open yet: that is all there is to tell.
            _ = await link.call(.root, payload: nil, sent: nil)
            try await mountVolume(root.handle)
        }
    }

    private func mountVolume(_ root: VolumeModel.FileHandle) async throws {
        let path = context.path(of: record.name)
        try MountPoint.make(path)
        let (device, name, link, log, mounted) = (record.device, record.name, link, log, mounted)
        let mount = try await Blocking.run {
            try VolumeMount(
                device: device, path: path, source: name, root: root, link: link,
                pathGuard: NoPathGuard(), log: log, onState: { _ in },
                onEnd: { reason in
                    log.notice("the volume's mount has ended", metadata: ["reason": "\(reason)"])
                    mounted.end()
                })
        }
        mounted.begin(mount)
        log.notice("the volume is there", metadata: ["path": "\(path)"])
    }

    private func showAtItsName() throws {
        guard let mount = mounted.mount else { return }
        let path = context.path(of: record.name)
        let old = mount.path
        guard old != path else { return }
        try MountPoint.make(path)
        try mount.move(to: path)
        MountPoint.remove(old)
        log.notice("the volume was renamed", metadata: ["path": "\(path)"])
    }

    // MARK: Giving up

    private func remove() async throws {
        try await leave(lazy: false)
        if owner?.node == context.node, let host {
            let rest = try await context.store.range(
                prefix: StoreKeys.attachments(id.description)
            ).entries
            guard rest.isEmpty else {
                throw NodeError("other nodes still use the volume")
            }
            try await Blocking.run { try host.stop(removingMark: true) }
            self.host = nil
            mounted.setCoordinator(nil, nil)
            let text = id.description
            _ = try await context.store.transaction(success: [
                .delete(StoreKeys.volume(text)), .delete(StoreKeys.name(record.name)),
                .delete(StoreKeys.owner(text)),
            ])
        }
    }

    /// Gives up the mount and the session; the coordinator learns that nothing is held any more.
    private func leave(lazy: Bool) async throws {
        if let mount = mounted.mount {
            let path = mount.path
            do {
                try await Blocking.run { try mount.unmount(lazy: lazy) }
            } catch {
                throw NodeError("\(path) is in use: \(error)")
            }
            if await !mounted.waitForEnd(seconds: 10) {
                try mount.abort()
                _ = await mounted.waitForEnd(seconds: 5)
            }
            mount.closePath()
            MountPoint.remove(path)
            mounted.clear()
        }
        if owner?.node == context.node, let host {
            host.coordinator.endSession(
                NodeIdentity(name: context.node, incarnation: context.incarnation))
        }
        await link.close()
        _ = try await context.store.delete(StoreKeys.attachment(id.description, context.node))
        await context.membership.withdraw(StoreKeys.state(id.description, context.node))
    }

    /// The daemon ends: the mount goes, whoever uses it, and the coordinator hands its epoch back.
    func stop() async {
        do {
            try await leave(lazy: true)
            guard let host, var mine = owner else { return }
            try await Blocking.run { try host.stop(removingMark: false) }
            mine.phase = .released
            try await context.store.putJSON(StoreKeys.owner(id.description), mine)
        } catch {
            log.error("the volume was not given up cleanly", metadata: ["error": "\(error)"])
        }
    }

    private func publishState() async {
        guard record.phase == .active else { return }
        let state: StateRecord =
            mounted.mount != nil && mounted.isServing
            ? StateRecord(
                state: AccessState.direct.rawValue, reason: nil,
                name: mounted.mount?.path.split(separator: "/").last.map(String.init))
            : StateRecord(
                state: AccessState.unavailable.rawValue,
                reason: RedirectReason.starting.rawValue)
        guard let bytes = try? JSONEncoder().encode(state) else { return }
        await context.membership.publish(
            StoreKeys.state(id.description, context.node), Array(bytes))
    }
}

extension NodeMessage {
    var header: MessageHeader {
        switch self {
        case .openSession(let header), .request(let header, _, _, _), .closeSession(let header):
            header
        }
    }
}

extension CoordinatorMessage {
    var header: MessageHeader {
        switch self {
        case .recall(let header, _, _, _), .collectWrites(let header, _): header
        }
    }
}

/// Proves nothing.
private final class NoPathGuard: PathGuard {
    func fencePath() async -> Bool { false }
    func restorePath() async -> Bool { false }
}
