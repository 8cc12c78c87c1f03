import ClusterCore
import ClusterStore
import CoordinatorService
import Foundation
import Logging
import VolumeModel
import VolumeMount
import VolumeProtocol

/// One volume on this node: its coordinator, if that runs here, its session and its mount. The shell
/// around ``ClusterCore/VolumeMember``: it tells the machine what the records say and what came of its
/// actions, and performs them.
actor VolumeInstance {
    let id: VolumeID
    let context: NodeContext
    let log: Logger
    let link: SessionLink
    nonisolated let path: PathKeeper
    nonisolated let mounted = MountBox()
    var host: CoordinatorHost?
    var snapshot: VolumeSnapshot
    private var hasSnapshot = false
    var member: VolumeMember
    var isLeaving = false
    /// What an earlier life of this daemon left on this node is gone.
    var hasDrained = false
    var isDraining = false
    /// The epoch that is being mounted.
    var startingEpoch: Epoch?
    /// Epochs of this node's that were given up, also while they were being mounted.
    var abandonedEpochs: Set<Epoch> = []
    /// Those that ended while they were being mounted, and of which something may still land.
    var unprovenEpochs: Set<Epoch> = []
    /// Those whose mount is not proven to be gone.
    var hangingEpochs: Set<Epoch> = []
    /// What an earlier process of this daemon served, until it is gone on with.
    var resumed: ResumedVolume?
    private var problem: String?
    private var shownState: MountState?
    /// What the last fence lacked, so that it is told once.
    var lastFenceProblem: String?
    /// Since when nobody has coordinated.
    private(set) var coordinatorLostAt: ContinuousClock.Instant?
    /// The last epoch whose coordinator was seen to serve.
    private(set) var lastServedEpoch: UInt64?
    /// This node has taken over, and its grace is not over yet; since when there was no coordinator.
    var tookOverAt: ContinuousClock.Instant?
    /// The volume-wide reasons for redirected mode that were asked for, and those that are in force.
    private var wantedReasons: Set<RedirectReason> = []
    private var appliedReasons: Set<RedirectReason> = []

    init(id: VolumeID, snapshot: VolumeSnapshot, context: NodeContext) {
        self.id = id
        self.snapshot = snapshot
        self.context = context
        var log = context.log
        log[metadataKey: "volume"] = "\(snapshot.record.name)"
        self.log = log
        resumed = context.resumption?[id]
        link = SessionLink(
            log: log, firstSequence: resumed == nil ? 0 : BootClock.nowNanoseconds)
        path = PathKeeper(
            context: context, volume: id, device: context.ownDevice(snapshot.record.device),
            log: log)
        member = VolumeMember(
            me: NodeIdentity(name: context.node, incarnation: context.incarnation))
    }

    var record: VolumeRecord { snapshot.record }
    var me: NodeIdentity { member.me }
    nonisolated var mount: VolumeMount? { mounted.mount }
    /// The name under which this node shows it; nil while it does not.
    nonisolated var shownName: String? {
        mount.flatMap { $0.path.split(separator: "/").last.map(String.init) }
    }
    nonisolated var coordinator: Coordinator? { mounted.coordinator }

    // MARK: Events

    /// Takes note of the records. True: nothing is left to be tried again.
    func update(_ snapshot: VolumeSnapshot) async -> Bool {
        guard !isLeaving else { return true }
        note(snapshot)
        do {
            if record.phase == .removing {
                try await remove()
            } else {
                redirectAsTold()
                try showAtItsName()
            }
            problem = nil
            await publishState()
            return record.phase == .active
        } catch {
            report("\(error)")
            await publishState()
            return false
        }
    }

    /// The records never go back in time for the machine.
    private func note(_ snapshot: VolumeSnapshot) {
        guard snapshot.number > self.snapshot.number || !hasSnapshot else { return }
        self.snapshot = snapshot
        hasSnapshot = true
        send(.records(snapshot.records))
        // Cut by the coordinator, perhaps, while this node has not noticed anything yet.
        if let mount, snapshot.attachments[context.node]?.value.hasPath == false {
            Task { if await path.isCutByRecord() { mount.reportPathLost() } }
        }
    }

    /// Reads the records again: what an action changed is told before that it is done.
    func refresh() async {
        do {
            let snapshots = try await context.records.read()
            if let mine = snapshots.first(where: { $0.record.id == id.description }) { note(mine) }
        } catch {
            report("the records could not be read: \(error)")
        }
    }

    /// Time passes.
    func tick() async {
        guard !isLeaving else { return }
        send(.tick)
        noteCoordinator()
        lookAfterRecalls()
        // Where only the lease protects the LUN, direct I/O ends well before it.
        mount?.allowDirect(
            untilNanoseconds: path.outlivesLease ? nil : context.membership.directEndNanoseconds)
        mount?.allowAnswersFromMap(untilNanoseconds: context.membership.endNanoseconds)
        await publishState()
    }

    /// Members that owe the answer to a recall for too long lose their path, then their membership.
    private func lookAfterRecalls() {
        guard let coordinator else { return }
        let timings = ClusterTimings()
        for node in coordinator.overdueSessions(nanoseconds: timings.silenceNanoseconds) {
            send(.overdue(node, .node))
        }
        for node in coordinator.overdueSessions(nanoseconds: timings.recallNanoseconds) {
            send(.overdue(node, .path))
        }
    }

    /// Hands an event to the machine, and starts what it asks for.
    func send(_ event: VolumeMemberEvent) {
        var actions: [VolumeMemberAction] = []
        let now = BootClock.nowNanoseconds
        member.handle(
            .lease(isValid: context.membership.isValid), nowNanoseconds: now, into: &actions)
        member.handle(event, nowNanoseconds: now, into: &actions)
        for action in actions { Task { await self.perform(action) } }
    }

    /// Logs what stands in the way, once.
    func report(_ text: String) {
        if problem != text {
            log.warning("a volume is not in order yet", metadata: ["error": "\(text)"])
        }
        problem = text
    }

    // MARK: State

    /// Follows for how long there was no coordinator, and tells when there is one again.
    private func noteCoordinator() {
        let owner = snapshot.owner?.value
        let isUp = owner.map { snapshot.members[$0.node]?.number == $0.incarnation } ?? false
        if let owner, owner.phase == .serving, isUp {
            lastServedEpoch = owner.epoch
            if tookOverAt == nil { coordinatorLostAt = nil }
        } else if coordinatorLostAt == nil {
            coordinatorLostAt = .now
        }
        if let since = tookOverAt, let coordinator = mounted.coordinator,
            coordinator.graceWaitingFor.isEmpty
        {
            tookOverAt = nil
            context.events.note(
                .coordinatorTookOver, volume: record.name, node: context.node,
                outcome: "epoch \(owner?.epoch ?? 0)",
                durationSeconds: since.duration(to: .now).seconds,
                "\(context.node) coordinates \(record.name) now, and every node has told what it "
                    + "holds")
        }
    }

    /// Applies the reasons that the record has for the whole volume. Direct I/O may take its time to
    /// end: nothing waits for it but the state.
    private func redirectAsTold() {
        let reasons = Set((record.redirected ?? [:]).keys.compactMap(RedirectReason.init))
        guard let mount, reasons != wantedReasons else { return }
        wantedReasons = reasons
        Task {
            await mount.setRedirected(reasons)
            self.redirected(reasons)
            await self.publishState()
        }
    }

    private func redirected(_ reasons: Set<RedirectReason>) {
        if wantedReasons == reasons { appliedReasons = reasons }
    }

    /// The mount tells of a change; runs in the order of the changes.
    func mountStateChanged(_ state: MountState) async {
        let isLost = state.reasons.contains(.noDiskConnectivity)
        let wasLost = shownState?.reasons.contains(.noDiskConnectivity) ?? false
        shownState = state
        if isLost != wasLost {
            send(.path(isUsable: !isLost))
            if isLost {
                context.events.note(
                    .pathLost, .warning, volume: record.name, cause: "I/O on the path failed",
                    outcome: "redirected",
                    "\(context.node) lost its path to \(record.name): its I/O goes through the "
                        + "coordinator until the path answers; look at cables, switch and HBA")
            } else {
                context.events.note(
                    .pathBack, volume: record.name, outcome: "direct",
                    "\(context.node) has its path to \(record.name) back, and reads and writes "
                        + "directly again")
            }
        }
        await publishState()
    }

    func publishState() async {
        guard record.phase == .active, !isLeaving else { return }
        var state: StateRecord
        if let mount, mounted.isServing {
            let access = mount.accessState
            let reasons = access.reasons.map(\.rawValue).sorted()
            state = StateRecord(
                state: access.state.rawValue, reason: reasons.first,
                reasons: reasons.count > 1 ? reasons : nil, detail: access.waitingFor,
                applied: appliedReasons.isEmpty ? nil : appliedReasons.map(\.rawValue).sorted(),
                name: mount.path.split(separator: "/").last.map(String.init))
        } else {
            state = StateRecord(
                state: AccessState.unavailable.rawValue,
                reason: RedirectReason.starting.rawValue, detail: problem)
        }
        if member.sessionEpoch?.number != snapshot.owner?.value.epoch
            || snapshot.owner?.value.phase != .serving
        {
            let text = coordinatorText
            state.detail = state.detail.map { "\($0); \(text)" } ?? text
        }
        guard let bytes = try? JSONEncoder().encode(state) else { return }
        await context.membership.publish(
            StoreKeys.state(id.description, context.node), Array(bytes))
    }

    /// What there is to say of a coordinator that does not serve this node.
    private var coordinatorText: String {
        guard let owner = snapshot.owner?.value else { return "no coordinator yet" }
        let isUp = snapshot.members[owner.node]?.number == owner.incarnation
        if !isUp, path.fenceName == nil, record.allowsUnproven != true {
            return "the coordinator \(owner.node) is lost, and there is no fence to prove that it "
                + "cannot write: start it again, or allow failover without a proof "
                + "(covol volume set \(record.name) --allow-unproven-failover yes)"
        }
        return isUp
            ? "metadata waits for the coordinator on \(owner.node)"
            : "the coordinator on \(owner.node) is lost; another node takes over"
    }
}
