import VolumeModel

/// A node's own path to a volume's LUN, and why it may not be used, as a state machine: no clock, no
/// I/O. Times come in as nanoseconds of a monotonic clock.
///
/// A path that failed goes through: *proof* (writes that failed or hang may still land: nothing of
/// them is redirected before that is excluded, rule failed-before-redirect), *probing*, *draining*
/// (what the kernel still has in flight on it ends), *restoring* (a new key), *opening*, and is used
/// again.
public struct PathCore: Sendable {
    private let rules: SafetyRules
    private let timings: PathTimings
    private var lost: LostPath?
    private var volumeReasons: Set<RedirectReason> = []
    private var isSuspended = false
    /// When the path came back last, and how long it was left alone before that.
    private var usedSince: UInt64?
    private var lastProbeDelay: UInt64

    public init(rules: SafetyRules = .all, timings: PathTimings = PathTimings()) {
        self.rules = rules
        self.timings = timings
        lastProbeDelay = timings.probeNanoseconds
    }

    /// Whether new I/O may be direct.
    public var isDirect: Bool { lost == nil && volumeReasons.isEmpty && !isSuspended }

    public var isLost: Bool { lost != nil }

    /// Whether some write waits for the proof that it cannot land any more.
    public var needsProof: Bool { lost?.needsProof ?? false }

    /// Whether an operation that failed like this has ended at the target.
    public static func hasEnded(_ error: ErrorCode?) -> Bool { PathFailure(error) != .ofPath }

    /// Whether the first error says less of what became of an operation than the second.
    public static func isLessKnown(_ error: ErrorCode, than other: ErrorCode) -> Bool {
        PathFailure(error).rawValue > PathFailure(other).rawValue
    }

    /// Why I/O is not direct; empty where it is.
    public var reasons: Set<RedirectReason> {
        var reasons = volumeReasons
        if lost != nil { reasons.insert(.noDiskConnectivity) }
        if isSuspended { reasons.insert(.noMembership) }
        return reasons
    }

    /// What some I/O waits for; nil: none waits.
    public var waitingFor: String? {
        // The same text for however many: it is told with every change.
        needsProof ? "proof that writes on this node's failed path cannot land any more" : nil
    }

    /// A direct operation has failed; without an error, it moved fewer bytes than it should.
    public mutating func failed(
        _ operation: PathOperation, _ error: ErrorCode?, nowNanoseconds now: UInt64,
        actions: inout [PathAction]
    ) -> PathVerdict {
        switch PathFailure(error) {
        case .ofTarget:
            return operation == .flush ? .fail : .redirect
        case .fenced:
            lose(now, &actions)
            return .redirect
        case .ofPath:
            lose(now, &actions)
            return operation == .write ? waitForProof() : .redirect
        }
    }

    /// A direct operation has not ended in its time.
    public mutating func overdue(
        _ operation: PathOperation, nowNanoseconds now: UInt64, actions: inout [PathAction]
    ) -> PathVerdict {
        lose(now, &actions)
        return operation == .write ? waitForProof() : .redirect
    }

    public mutating func handle(
        _ event: PathEvent, nowNanoseconds now: UInt64
    ) -> [PathAction] {
        let wasDirect = isDirect
        var actions: [PathAction] = []
        switch event {
        case .redirected(let reasons): volumeReasons = reasons
        case .suspended(let suspended): isSuspended = suspended
        case .reportedLost:
            lose(now, &actions)
            return actions
        default: advance(event, now, &actions)
        }
        if wasDirect && !isDirect { actions.append(.stopDirect) }
        if !wasDirect && isDirect { actions.append(.startDirect) }
        return actions
    }

    private mutating func lose(_ now: UInt64, _ actions: inout [PathAction]) {
        guard lost == nil else { return }
        let wasDirect = isDirect
        var delay = timings.probeNanoseconds
        if let usedSince, now < usedSince &+ timings.steadyNanoseconds {
            delay = min(lastProbeDelay * 2, timings.probeMaximumNanoseconds)
        }
        lastProbeDelay = delay
        lost = LostPath(nextProbe: now &+ delay)
        if wasDirect { actions.append(.stopDirect) }
    }

    private mutating func waitForProof() -> PathVerdict {
        // The proof holds for all that was sent before it was asked for, and nothing was since.
        guard rules.contains(.failedBeforeRedirect), lost?.isProven == false else {
            return .redirect
        }
        lost?.awaiting += 1
        return .wait
    }

    private mutating func advance(
        _ event: PathEvent, _ now: UInt64, _ actions: inout [PathAction]
    ) {
        guard var path = lost else { return }
        switch event {
        case .tick(let inFlight):
            path.step(inFlight: inFlight, mayProbe: volumeReasons.isEmpty, timings, now, &actions)
        case .landed:
            path.awaiting = max(0, path.awaiting - 1)
        case .fenced(let isProven):
            path.isFencing = false
            path.nextFence = now &+ timings.fenceRetryNanoseconds
            guard isProven else { break }
            path.isProven = true
            path.awaiting = 0
            actions.append(.settle)
        case .probed(let probe):
            path.isProbing = false
            path.stage = probe == .fails ? .probing : .draining(since: now)
            path.nextProbe = now &+ lastProbeDelay
        case .restored(let isRestored):
            path.stage = isRestored ? .opening : .probing
            path.nextProbe = now &+ lastProbeDelay
            if isRestored { actions.append(.open) }
        case .opened(let isOpen):
            if isOpen {
                lost = nil
                usedSince = now
                return
            }
            path.stage = .probing
            path.nextProbe = now &+ lastProbeDelay
        case .redirected, .suspended, .reportedLost:
            preconditionFailure("handled before")
        }
        lost = path
    }
}

/// What an error of a direct operation says.
private enum PathFailure: Int {
    /// The target reported it: the operation has ended there, and the path works.
    case ofTarget
    /// A reservation conflict: this path's key is gone, and the operation was not let in.
    case fenced
    /// Nobody knows what became of the operation.
    case ofPath

    /// The errors are those that the block layer makes of a command's end (`block/blk-core.c`,
    /// `blk_errors`).
    init(_ error: ErrorCode?) {
        self =
            switch error {
            // Fewer bytes than asked for, at the LUN's end: EREMOTEIO, ENODATA, EILSEQ, ENOSPC.
            case nil, .remoteIO, .noData, .illegalSequence, .noSpace: .ofTarget
            case .reservationConflict: .fenced
            default: .ofPath
            }
    }
}
