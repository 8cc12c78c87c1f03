import FUSE
import FilterCore
import Logging
import NIOCore
import Synchronization
import VolumeModel
import VolumeProtocol

/// One volume on one node: answers the kernel's requests from the cached sector maps and the LUN where
/// the rules allow it, and from the coordinator otherwise.
final class MountHandler: FUSEHandler {
    /// Guarded by one lock: the filter, and what belongs to its tokens.
    struct State {
        var filter: FilterCore
        /// By token number.
        var direct: [DirectIO] = []
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
        /// SETLKW requests that wait, by the kernel's number.
        var lockWaits: [UInt64: UInt64] = [:]
        /// Files on which record locks were taken here.
        var lockedFiles: Set<FileHandle> = []
        /// Whose turn it is to ask for a file's growth or to return it, and who waits for that.
        var growthTurns: [FileIndex: [CheckedContinuation<Void, Never>]] = [:]
        /// How far a file's last growth reached beyond what was asked, for the next one.
        var growthAheadBytes: [FileIndex: UInt64] = [:]
    }

    /// What a direct read or write has to remember until it ends.
    struct DirectIO {
        var isWrite = false
        var skipBytes = 0
        var lengthBytes = 0
        var request = DataRequest.none
    }

    let state: Mutex<State>
    let nodes: NodeTable
    let link: any CoordinatorLink
    let lun: Int32
    let flusher: LUNFlusher
    let statistics = MountStatistics()
    let log: Logger
    let onEnd: @Sendable (FUSEEndReason) -> Void

    init(
        root: FileHandle, link: any CoordinatorLink, lun: Int32, rules: SafetyRules, log: Logger,
        onEnd: @escaping @Sendable (FUSEEndReason) -> Void
    ) {
        state = Mutex(State(filter: FilterCore(rules: rules)))
        nodes = NodeTable(root: root)
        self.link = link
        self.lun = lun
        flusher = LUNFlusher(descriptor: lun)
        self.log = log
        self.onEnd = onEnd
    }

    func ended(_ reason: FUSEEndReason) { onEnd(reason) }

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
            statistics.metadataOperations.add(1, ordering: .relaxed)
            guard let handle = nodes.handle(context.nodeID) else {
                reply.error(.stale)
                return
            }
            Task { await self.serve(request, context, handle, reply) }
        }
    }
}
