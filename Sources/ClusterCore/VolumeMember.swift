import VolumeModel

/// One node as a member of one volume: when it attaches, mounts, takes over, fences, hands over and
/// gives up. A state machine without clock, store or thread: times come in as nanoseconds.
///
/// It is driven by the level of the records, not by their changes: every event looks at what is, and
/// starts what is missing. What is under way is not started again before it has ended.
public struct VolumeMember: Sendable {
    /// This node's part as a coordinator.
    enum Role: Hashable, Sendable {
        case none
        case mounting(Epoch)
        case mounted(Epoch)
        case serving(Epoch)
        case leaving(Epoch)

        var epoch: Epoch? {
            switch self {
            case .none: nil
            case .mounting(let epoch), .mounted(let epoch), .serving(let epoch),
                .leaving(let epoch):
                epoch
            }
        }
    }

    /// What can be under way once at a time.
    enum Work: Hashable, Sendable {
        case attach
        case fence(NodeIdentity)
        case claim
        case announce
        case resign
        case session
        case loss
    }

    public let me: NodeIdentity
    let timings: ClusterTimings
    let rules: SafetyRules
    var records = VolumeRecords()
    var role = Role.none
    var isLeaseValid = false
    var isPathUsable = true
    var isDrained = false
    var isAttached = false
    var session: Epoch?
    var working: Set<Work> = []
    /// When what failed may be tried again.
    var notBefore: [Work: UInt64] = [:]
    /// Since when the coordinator has been seen to be gone.
    var vacantSinceNanoseconds: UInt64?
    /// The nodes that this coordinator has seen attached, and not dropped.
    var attachedNodes: Set<NodeIdentity> = []
    /// An epoch of this node's that is over, and how.
    var ended: (epoch: Epoch, phase: OwnerPhase)?

    public init(
        me: NodeIdentity, timings: ClusterTimings = ClusterTimings(), rules: SafetyRules = .all
    ) {
        self.me = me
        self.timings = timings
        self.rules = rules
    }

    /// The epoch that this node coordinates, from the mount on.
    public var coordinatedEpoch: Epoch? { role.epoch }

    /// The epoch with whose coordinator this node has a session.
    public var sessionEpoch: Epoch? { session }

    /// The store has an attachment of this node's present life.
    public var isAttachedNow: Bool { isAttached }

    /// Whether this node's path may be given a new key. Not while what this node coordinated may still
    /// have something on its way: a fence aims at the key that it was sent under, and would find that
    /// gone while the path let everything in.
    public var mayRegister: Bool {
        guard role == .none else { return false }
        guard let owner = records.owner, owner.identity == me else { return true }
        switch owner.phase {
        case .released, .fenced: return true
        case .failed: return false
        case .assigned, .serving:
            // The record does not yet say how that ended.
            if let ended, ended.epoch == owner.epoch { return ended.phase == .released }
            return owner.phase == .assigned
        }
    }

    /// Takes an event and appends what is to be done.
    public mutating func handle(
        _ event: VolumeMemberEvent, nowNanoseconds now: UInt64,
        into actions: inout [VolumeMemberAction]
    ) {
        note(event, now, &actions)
        lookAfterMyself(now, &actions)
        coordinate(now, &actions)
        takeOver(now, &actions)
        openSession(now, &actions)
    }

    private mutating func note(
        _ event: VolumeMemberEvent, _ now: UInt64, _ actions: inout [VolumeMemberAction]
    ) {
        switch event {
        case .records(let records): self.records = records
        case .tick: break
        case .lease(let isValid): isLeaseValid = isValid
        case .path(let isUsable): isPathUsable = isUsable
        case .drained: isDrained = true
        case .resumed(let epoch):
            isDrained = true
            isAttached = true
            if let epoch { ended = (epoch, .released) }
        case .attached(let succeeded):
            end(.attach, succeeded, now)
            isAttached = succeeded
        case .fenced(let node, _, let isProven):
            end(.fence(node), isProven, now)
        case .claimed(_, let succeeded):
            end(.claim, succeeded, now)
        case .mounted(let epoch, let succeeded):
            guard role == .mounting(epoch) else { break }
            if succeeded {
                role = .mounted(epoch)
            } else {
                role = .leaving(epoch)
                actions.append(.abandon(epoch))
            }
        case .announced(let epoch, let succeeded):
            end(.announce, succeeded, now)
            if succeeded, role == .mounted(epoch) { role = .serving(epoch) }
        case .handedOver(let epoch, let succeeded):
            guard role == .leaving(epoch) else { break }
            // What could not be handed over in order is given up: the fence has the last word.
            if succeeded { role = .none } else { actions.append(.abandon(epoch)) }
        case .abandoned(let epoch, let isProven):
            guard role == .leaving(epoch) else { break }
            role = .none
            ended = (epoch, isProven ? .released : .failed)
            // Others first: here it has just failed.
            notBefore[.claim] = now &+ 5 &* timings.retryNanoseconds
        case .resigned(_, let succeeded):
            end(.resign, succeeded, now)
        case .sessionOpened(let epoch, let succeeded):
            end(.session, succeeded, now)
            if succeeded { session = epoch }
        case .lostEverything:
            end(.loss, true, now)
            isAttached = false
            session = nil
        case .overdue(let node, let scope):
            fenceOverdue(node, scope, now, &actions)
        case .coordinatorFailed(let epoch):
            abandon(epoch, &actions)
        }
    }

    // MARK: Work under way

    mutating func begin(
        _ work: Work, _ action: VolumeMemberAction, _ now: UInt64,
        _ actions: inout [VolumeMemberAction]
    ) {
        guard !working.contains(work), now >= notBefore[work] ?? 0 else { return }
        working.insert(work)
        actions.append(action)
    }

    private mutating func end(_ work: Work, _ succeeded: Bool, _ now: UInt64) {
        working.remove(work)
        notBefore[work] = succeeded ? nil : now &+ timings.retryNanoseconds
    }

    mutating func abandon(_ epoch: Epoch, _ actions: inout [VolumeMemberAction]) {
        guard role.epoch == epoch, role != .leaving(epoch) else { return }
        role = .leaving(epoch)
        actions.append(.abandon(epoch))
    }
}
