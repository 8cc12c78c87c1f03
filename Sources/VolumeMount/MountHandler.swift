import FUSE
import FilterCore
import Locking
import Logging
import NIOCore
import Synchronization
import VolumeModel
import VolumeProtocol

/// One volume on one node: answers the kernel's requests from the cached sector maps and the LUN where
/// the rules allow it, and from the coordinator otherwise.
final class MountHandler: FUSEHandler {
    /// The filter, and what belongs to its tokens. Changed under the locks of all lanes; what is one
    /// lane's alone under that one's.
    struct State {
        var filter: FilterCore
        var path: PathCore
        /// Nil once the mount is over and its I/O has ended.
        var lun: LUNPath? {
            didSet { lunUse = LUNUse(lun) }
        }
        /// The path's, without counting references.
        private(set) var lunUse: LUNUse
        /// One for each worker.
        let lanes: Lanes<MountLane>
        var isClosed = false
        var wasLost = false
        var pathFailures: UInt64 = 0
        var pathRestores: UInt64 = 0
        /// Counts the watch's rounds.
        var tick: UInt32 = 0
        var probe: PathProbeUnderWay?
        var lastProbe: UInt64 = 0
        /// Probes whose threads have not come back.
        var probesOutstanding = 0
        var flushes: [UInt64: FlushWait] = [:]
        var lastFlush: UInt64 = 0
        /// Bytes of requests that are with the coordinator.
        var redirectedBytes = 0
        /// Goes up when a coordinator is no more.
        var coordinatorGeneration: UInt64 = 0
        var isBetweenCoordinators = false
        /// Opens that answer EIO for good.
        var lostOpens = 0
        var heldLocks = HeldLocks()
        /// Files whose times are on their way to the coordinator.
        var timesUnderWay: [FileHandle: Task<Void, Never>] = [:]
        /// Requests that wait for a layout, by tag.
        var parked: [UInt64: ParkedRequest] = [:]
        var lastTag: UInt64 = 0
        /// Who waits for a layout that is under way, by file.
        var layoutWaiters: [FileIndex: [CheckedContinuation<Void, Never>]] = [:]
        /// Recalls, and returns of the node's own, that wait for direct I/O to end.
        var tickets: [RecallTicket: CheckedContinuation<WriteReport, Never>] = [:]
        var lastTicket: UInt64 = 0
        var lastOpen: UInt64 = 0
        /// What this node has open, to be told to the next coordinator.
        var opens: [OpenID: FileHandle] = [:]
        /// What is noted of all this for a later process, and where.
        let ledger: MountLedger
        /// Every open that the kernel knows of, also those that are lost.
        var openRecords: [OpenID: MountLedger.Slot] = [:]
        var lockRecords: [FileHandle: [MountLedger.Slot]] = [:]
        var growthRecords: [FileIndex: MountLedger.Slot] = [:]
        /// What open directories were told ahead, by the open's number.
        var directories: [UInt64: DirectoryPiece] = [:]
        /// SETLKW requests that wait, by the kernel's number.
        var lockWaits: [UInt64: UInt64] = [:]
        /// Files on which record locks were taken here.
        var lockedFiles: Set<FileHandle> = []
        /// Whose turn it is to ask for a file's growth or to return it, and who waits for that.
        var growthTurns: [FileIndex: [CheckedContinuation<Void, Never>]] = [:]
        /// How far a file's last growth reached beyond what was asked, for the next one.
        var growthAheadBytes: [FileIndex: UInt64] = [:]

        init(rules: SafetyRules, lanes: Int, lun: LUNPath?, ledger: MountLedger) {
            self.ledger = ledger
            self.lanes = Lanes(count: lanes, of: MountLane())
            filter = FilterCore(rules: rules, lanes: lanes)
            path = PathCore(rules: rules)
            self.lun = lun
            lunUse = LUNUse(lun)
        }
    }

    let state: LanedLock<State>
    let nodes: NodeTable
    let link: any CoordinatorLink
    /// The path to the LUN, as it is opened.
    let device: String
    let pathGuard: any PathGuard
    let published = Mutex(MountState(state: .direct))
    let onState: @Sendable (MountState) -> Void
    let statistics = MountStatistics()
    let log: Logger
    let onEnd: @Sendable (FUSEEndReason) -> Void

    init(
        root: FileHandle, workers: Int, ledger: MountLedger, isResuming: Bool,
        link: any CoordinatorLink, device: String, lun: LUNPath?,
        pathGuard: any PathGuard, rules: SafetyRules, log: Logger,
        onState: @escaping @Sendable (MountState) -> Void,
        onEnd: @escaping @Sendable (FUSEEndReason) -> Void
    ) {
        let records = isResuming ? ledger.records : []
        let lanes = min(workers, DirectToken.lanesMaximum)
        var state = State(rules: rules, lanes: lanes, lun: lun, ledger: ledger)
        state.resume(records)
        self.state = LanedLock(state, lanes: lanes)
        nodes = NodeTable(root: root, ledger: ledger, resumed: records)
        self.link = link
        self.device = device
        self.pathGuard = pathGuard
        self.onState = onState
        self.log = log
        self.onEnd = onEnd
    }

    func ended(_ reason: FUSEEndReason) {
        failUnproven()
        onEnd(reason)
    }

    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        switch request {
        case .forget(let count):
            nodes.forget(context.nodeID, count: count)
            reply.none()
        case .batchForget(let list):
            for entry in list { nodes.forget(entry.nodeID, count: entry.count) }
            reply.none()
        case .interrupt(let unique):
            interrupt(unique, reply)
        case .destroy:
            reply.ok()
        default:
            guard let handle = nodes.handle(context.nodeID) else {
                reply.error(.stale)
                return
            }
            if answerFromCache(request, handle, reply) {
                statistics.metadataCached.add(1, ordering: .relaxed)
                return
            }
            statistics.metadataOperations.add(1, ordering: .relaxed)
            if servePromptly(request, context, handle, reply) { return }
            Task { await self.serve(request, context, handle, reply) }
        }
    }
}
