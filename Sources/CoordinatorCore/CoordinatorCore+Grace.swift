import VolumeModel
import VolumeProtocol

/// The time after a coordinator's start in which nodes tell what they hold since the epoch before.
/// Nothing is freed, moved or granted that might be theirs.
struct Grace: Sendable {
    /// Nodes that were attached and have neither told everything nor are proven to be gone.
    var waitingFor: Set<String>
    /// What has to wait, in the order of its coming. Each session's share is bounded by
    /// ``Limits/requestsPerSessionMaximum``.
    var held: [CoordinatorCore.Request] = []
    /// Lengthened files whose growth nobody has reclaimed.
    var grown: [FileHandle: GrownFile] = [:]
}

extension Operation {
    /// Served in grace: it tells what a node holds, or disturbs nothing.
    var belongsToGrace: Bool {
        switch self {
        case .root, .open, .reclaimLayout, .reclaimLock, .reclaimed: true
        default: false
        }
    }
}

extension CoordinatorCore {
    /// The nodes whose telling is missing, in order; empty once the grace is over.
    public var graceWaitingFor: [String] { grace?.waitingFor.sorted() ?? [] }

    public var isInGrace: Bool { grace != nil }

    mutating func begin(
        _ attached: [String], _ hidden: [FileHandle], _ grown: [GrownFile],
        _ outcomes: [SlotOutcome], _ actions: inout [CoordinatorAction]
    ) {
        precondition(sessions.isEmpty && tasks.isEmpty, "the start comes first")
        var grace = Grace(waitingFor: Set(attached))
        for file in hidden { files[file] = FileState(isHidden: true) }
        for file in grown { grace.grown[file.file] = file }
        for found in outcomes where grace.waitingFor.contains(found.key.session.name) {
            var slot = SessionSlot(
                sequence: found.key.sequence, state: .recorded(found.outcome))
            if case .entry(let file, let open?) = found.outcome { slot.open = (file, open) }
            recorded[found.key.session, default: [:]][found.key.slot] = slot
        }
        self.grace = grace
        endGraceIfComplete(&actions)
    }

    /// A node has told everything, or will tell nothing any more.
    mutating func needsNoGrace(_ name: String, _ actions: inout [CoordinatorAction]) {
        guard grace?.waitingFor.remove(name) != nil else { return }
        endGraceIfComplete(&actions)
    }

    /// Hidden files that nobody has open go, growths that nobody has are cut to what was shown, and
    /// what was held back begins.
    private mutating func endGraceIfComplete(_ actions: inout [CoordinatorAction]) {
        guard let ended = grace, ended.waitingFor.isEmpty else { return }
        grace = nil
        recorded = [:]
        for (file, note) in ended.grown.sorted(by: { $0.key.description < $1.key.description }) {
            let report = WriteReport(grownSizeBytes: note.visibleSizeBytes)
            if files[file] == nil { files[file] = FileState() }
            startInternal(.settleLost(file, report, of: nil), on: file, &actions)
        }
        for file in files.keys.sorted(by: { $0.description < $1.description }) {
            forgetIfUnused(file, &actions)
        }
        for request in ended.held { begin(request, &actions) }
    }

    // MARK: What nodes tell

    mutating func reclaim(
        _ session: NodeIdentity, _ sequence: UInt64, _ operation: Operation,
        _ actions: inout [CoordinatorAction]
    ) {
        switch operation {
        case .reclaimed:
            reply(session, sequence, .done, &actions)
            needsNoGrace(session.name, &actions)
        case .reclaimLayout(let file, let ranges, let growth):
            let error = reclaimLayout(session, file, ranges, growth)
            reply(session, sequence, error.map { .failed($0) } ?? .done, &actions)
        case .reclaimLock(let request):
            guard grace != nil else {
                reply(session, sequence, .failed(.stale), &actions)
                return
            }
            var request = request
            request.waits = false
            lockOperation(session, sequence, .lock(request), &actions)
        default:
            preconditionFailure("tells nothing")
        }
    }

    private mutating func reclaimLayout(
        _ session: NodeIdentity, _ file: FileHandle, _ ranges: [ByteRange],
        _ claim: GrowthClaim?
    ) -> ErrorCode? {
        guard grace != nil else { return .stale }
        guard var state = files[file], state.opens[session] != nil else { return .badDescriptor }
        if let claim {
            if let growth = state.growth {
                guard growth.session == session else { return .stale }
            } else {
                // A growth that was given back and settled may be told again: another's it is not.
                guard let note = grace?.grown[file], note.holder ?? session.name == session.name
                else { return .stale }
                grace?.grown[file] = nil
                let visible = note.visibleSizeBytes
                state.growth = Growth(
                    session: session, visibleSizeBytes: visible,
                    allocatedEndBytes: max(claim.allocatedEndBytes, visible))
            }
        }
        var layout = state.layouts[session] ?? SessionLayout()
        for range in ranges { layout.ranges.insert(range) }
        if !layout.ranges.isEmpty { state.layouts[session] = layout }
        files[file] = state
        return nil
    }
}
