import VolumeModel
import VolumeProtocol

/// The rules of one volume's coordinator as a state machine: events in, actions out. It has no clock,
/// file, socket or thread; its shell (`CoordinatorService`, or the simulation) performs the actions
/// and reports what came of them.
///
/// Every request is a task. A task claims what it works on, recalls the layouts that stand in its way,
/// settles what nodes reported with them, and then runs its own command.
public struct CoordinatorCore: Sendable {
    let rules: SafetyRules
    var sessions: Set<NodeIdentity> = []
    var files: [FileHandle: FileState] = [:]
    var locks = LockTable()
    var metadata: MetadataTable
    var claims = ClaimTable()
    var tasks: [TaskID: CoordinatorTask] = [:]
    /// Which task waits for an answer, who owes it, and what is being returned.
    var recalls: [RecallID: PendingRecall] = [:]
    /// Tasks that wait for a lock, by the lock table's token.
    var lockWaits: [UInt64: (session: NodeIdentity, sequence: UInt64)] = [:]
    var lastLockToken: UInt64 = 0
    /// Nil outside of a grace.
    var grace: Grace?
    /// Requests that are taken and not answered, with their slots.
    var unanswered: [NodeIdentity: [UInt64: UInt16]] = [:]
    var slots: [NodeIdentity: [UInt16: SessionSlot]] = [:]
    /// The highest number of a request that each session has sent.
    var lastSequences: [NodeIdentity: UInt64] = [:]
    /// Of nodes that were forgotten: up to which number requests are of a life that is over. A node
    /// that was fenced while it lived comes back under the same incarnation, and what is still on its
    /// way from before must not count as new.
    var endedSequences: [NodeIdentity: UInt64] = [:]
    /// Of these, those that are back and have not told yet that they begin.
    var returning: Set<NodeIdentity> = []
    /// What the volume says of the requests of sessions that are not open yet.
    var recorded: [NodeIdentity: [UInt16: SessionSlot]] = [:]
    var isDraining = false
    private var lastTask: UInt64 = 0
    private var lastRecall: UInt64 = 0

    struct PendingRecall {
        var task: TaskID
        var session: NodeIdentity
        var file: FileHandle
        /// Nil for a collection of writes.
        var range: ByteRange?
        var generation: LayoutGeneration
        /// Of attributes and names; `range` and `generation` do not count.
        var isMetadata = false
    }

    /// - Parameter metadataGrantsMaximum: the most inodes of which one session may keep metadata.
    public init(
        rules: SafetyRules = .all,
        metadataGrantsMaximum: Int = Limits.metadataGrantsPerSessionMaximum
    ) {
        self.rules = rules
        metadata = MetadataTable(grantsMaximum: metadataGrantsMaximum)
    }

    /// Takes an event and appends what is to be done, in that order.
    public mutating func handle(_ event: CoordinatorEvent, into actions: inout [CoordinatorAction])
    {
        switch event {
        case .started(let attached, let hidden, let grown, let outcomes):
            begin(attached, hidden, grown, outcomes, &actions)
        case .sessionOpened(let session):
            openSession(session, &actions)
        case .sessionEnded(let session):
            endSession(session, &actions)
        case .nodeForgotten(let name):
            forget(name, &actions)
        case .request(let session, let sequence, let slot, let operation, let payloadBytes):
            take(
                Request(
                    session: session, sequence: sequence, slot: slot, operation: operation,
                    payloadBytes: payloadBytes), &actions)
        case .executed(let task, let result):
            executed(task, result, &actions)
        case .answered(let recall, let report):
            answered(recall, report, &actions)
        case .draining:
            drain(&actions)
        }
    }

    /// What nodes have been asked for and have not answered.
    public var owedRecalls: [RecallID: NodeIdentity] { recalls.mapValues(\.session) }

    public var hasSessions: Bool { !sessions.isEmpty }

    public func hasSession(_ session: NodeIdentity) -> Bool { sessions.contains(session) }

    /// How many requests are under way, waiting for others or for nodes.
    public var taskCount: Int { tasks.count }

    mutating func newTask(_ task: CoordinatorTask) -> TaskID {
        lastTask += 1
        let id = TaskID(number: lastTask)
        tasks[id] = task
        return id
    }

    mutating func newRecall(_ recall: PendingRecall) -> RecallID {
        lastRecall += 1
        let id = RecallID(number: lastRecall)
        recalls[id] = recall
        return id
    }
}

extension CoordinatorCore {
    /// The inodes that a task's commands so far change, but for those that they make.
    public func changes(of task: TaskID) -> [FileHandle] { tasks[task]?.changing ?? [] }

    /// Whose request a task serves; nil for the coordinator's own.
    public func request(of task: TaskID) -> (session: NodeIdentity, sequence: UInt64)? {
        guard case .request(let session, let sequence, _)? = tasks[task]?.purpose else {
            return nil
        }
        return (session, sequence)
    }
}
