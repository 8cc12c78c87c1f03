import VolumeModel

/// Paths, their faults, the operations on them and the reservations: what happens to each operation,
/// decided without I/O. Its shell keeps a `Client` per operation and acts on the verdicts.
///
/// An operation that was started reaches the image; what was not started never does. So a path is
/// clean when those that were started have finished and the others have been failed.
struct LUNModel<Client: Sendable>: Sendable {
    enum Kind: Sendable {
        case read
        case write
        /// On stable storage before it is answered.
        case durableWrite
        case discard
        case flush

        var isWrite: Bool { self == .write || self == .durableWrite }
        var changesData: Bool { isWrite || self == .discard }
    }

    struct Operation: Sendable {
        var path: Int
        var kind: Kind
        var offsetBytes: UInt64
        var lengthBytes: UInt64
        var client: Client
        var startedNanoseconds: UInt64
        var state = State.arrived
        /// Let through the reservation when it came, held back since.
        var isLate = false

        /// Nobody but the model will answer it or take it up.
        var isWaiting: Bool {
            switch state {
            case .held, .delayed: true
            default: false
            }
        }

        enum State: Sendable {
            case arrived
            /// Waits for the path's fault to end.
            case held
            /// Waits for its time to come, ``LUNModel/wake(_:)``.
            case delayed
            /// Will be looked at again by ``LUNModel/resume(_:)``.
            case resuming
            /// At the image.
            case started
            /// To be failed when it is looked at again.
            case doomed(ErrorCode)
        }
    }

    /// What becomes of an operation now.
    enum Verdict: Hashable, Sendable {
        case start
        /// Nothing until the shell is told.
        case hold
        /// ``LUNModel/wake(_:)`` after this time.
        case delay(milliseconds: Int)
        case fail(ErrorCode)
    }

    /// What the shell has to do after a change of faults or registrations.
    struct Effects: Sendable {
        /// Answered with the error; the operations are gone.
        var failed: [(client: Client, error: ErrorCode)] = []
        /// To be taken up with ``LUNModel/resume(_:)``.
        var resumed: [(operation: UInt64, client: Client)] = []
        /// Started ones that must have finished before the change counts as done.
        var awaited: Set<UInt64> = []
    }

    struct Path: Sendable {
        let name: String
        var fault = PathFault.ok
        /// The next write is held back.
        var isLateWriteArmed = false
        /// The FUSE connection is over: nothing may be started any more.
        var hasEnded = false
        var counters = PathCounters()
    }

    var paths: [Path]
    var target: ReservationTarget
    var log: AccessLog
    let sizeBytes: UInt64
    private var table: [UInt64: Operation] = [:]
    private var lastOperation: UInt64 = 0

    /// EBADE, what Linux makes of a RESERVATION CONFLICT.
    static var conflict: ErrorCode { ErrorCode(52) }

    init(paths: [String], sizeBytes: UInt64, target: ReservationTarget, log: AccessLog) {
        self.paths = paths.map { Path(name: $0) }
        self.sizeBytes = sizeBytes
        self.target = target
        self.log = log
        table.reserveCapacity(LUNLimits.operationsMaximum)
    }

    func operation(_ id: UInt64) -> Operation? { table[id] }

    // MARK: One operation

    /// Takes an operation in. The verdict, and its number where that is not `fail`.
    mutating func begin(
        _ kind: Kind, path: Int, offsetBytes: UInt64, lengthBytes: UInt64, client: Client,
        nanoseconds: UInt64
    ) -> (verdict: Verdict, operation: UInt64) {
        guard table.count < LUNLimits.operationsMaximum else {
            paths[path].counters.failed += 1
            return (.fail(.inputOutput), 0)
        }
        var operation = Operation(
            path: path, kind: kind, offsetBytes: offsetBytes, lengthBytes: lengthBytes,
            client: client, startedNanoseconds: nanoseconds)
        let verdict = decide(&operation)
        if case .fail = verdict { return (verdict, 0) }
        lastOperation += 1
        table[lastOperation] = operation
        return (verdict, lastOperation)
    }

    /// A delay is over. Whether the operation still waited, and is now to be resumed.
    mutating func wake(_ id: UInt64) -> Bool {
        guard let operation = table[id], case .delayed = operation.state else { return false }
        table[id]?.state = .resuming
        return true
    }

    /// Looks at an operation again. `fail`: it is gone.
    mutating func resume(_ id: UInt64) -> Verdict {
        guard var operation = table[id] else {
            preconditionFailure("no operation \(id)")
        }
        let verdict: Verdict
        if case .doomed(let error) = operation.state {
            verdict = .fail(error)
        } else {
            verdict = decide(&operation)
        }
        if case .fail = verdict { table[id] = nil } else { table[id] = operation }
        return verdict
    }

    /// A started operation ended, with the image's error if there was one.
    mutating func finish(_ id: UInt64, error: ErrorCode?, nanoseconds: UInt64) {
        guard let operation = table.removeValue(forKey: id) else {
            preconditionFailure("no operation \(id)")
        }
        if error != nil { paths[operation.path].counters.failed += 1 }
        guard error == nil else { return }
        paths[operation.path].counters.count(operation.kind, operation.lengthBytes)
        guard operation.kind.changesData else { return }
        log.append(
            AccessLog.Entry(
                sequence: 0, path: Int32(operation.path),
                kind: operation.kind.isWrite ? .write : .discard, isLate: operation.isLate,
                offsetBytes: operation.offsetBytes, lengthBytes: operation.lengthBytes,
                startedNanoseconds: operation.startedNanoseconds, landedNanoseconds: nanoseconds))
    }

    /// Whether any of these is still at the image.
    func isAnyUnderWay(_ operations: Set<UInt64>) -> Bool {
        operations.contains { table[$0] != nil }
    }

    /// How many operations of a path wait for its fault to end, how many of those are late writes,
    /// and how many are at the image.
    func held(path: Int) -> (all: Int, late: Int, underWay: Int) {
        var counts = (all: 0, late: 0, underWay: 0)
        for operation in table.values where operation.path == path {
            if case .started = operation.state {
                counts.underWay += 1
            } else {
                counts.all += 1
                if operation.isLate { counts.late += 1 }
            }
        }
        return counts
    }

    private mutating func decide(_ operation: inout Operation) -> Verdict {
        let path = operation.path
        // Let go: it passed the reservation when it came.
        if operation.isLate && !paths[path].hasEnded {
            operation.state = .started
            return .start
        }
        if paths[path].hasEnded { return fail(path, .inputOutput) }
        let access: ReservationTarget.Access = operation.kind == .read ? .read : .write
        let isAllowed = target.allows(access, from: paths[path].name)
        switch paths[path].fault {
        case .fail, .cut: return fail(path, .inputOutput)
        case .hang:
            // What the initiator had queued before this path was fenced comes only now: a fence ends
            // that as well.
            guard isAllowed else { return conflict(path) }
            operation.state = .held
            return .hold
        case .slow(let milliseconds):
            if case .arrived = operation.state {
                operation.state = .delayed
                return .delay(milliseconds: milliseconds)
            }
        case .ok: break
        }
        guard isAllowed else { return conflict(path) }
        if operation.kind.isWrite && paths[path].isLateWriteArmed {
            paths[path].isLateWriteArmed = false
            operation.isLate = true
            operation.state = .held
            return .hold
        }
        operation.state = .started
        return .start
    }

    private mutating func conflict(_ path: Int) -> Verdict {
        paths[path].counters.conflicts += 1
        return .fail(Self.conflict)
    }

    private mutating func fail(_ path: Int, _ error: ErrorCode) -> Verdict {
        paths[path].counters.failed += 1
        return .fail(error)
    }

    // MARK: All operations of a path

    /// Fails what of a path is not at the image, and waits for the rest.
    mutating func end(path: Int, error: ErrorCode, effects: inout Effects) {
        for (id, operation) in table where operation.path == path {
            switch operation.state {
            case .started: effects.awaited.insert(id)
            case .held, .delayed: drop(id, error, &effects)
            // Whoever brings it back finds that it is doomed: until then its slot is not ours.
            case .arrived, .resuming: table[id]?.state = .doomed(error)
            case .doomed: break
            }
        }
    }

    /// Takes up what of a path waits: late writes, or the others, or both.
    mutating func letGo(path: Int, late: Bool, others: Bool, effects: inout Effects) {
        let ids = table.keys.sorted()
        for id in ids {
            guard let operation = table[id], operation.path == path, operation.isWaiting,
                operation.isLate ? late : others
            else { continue }
            table[id]?.state = .resuming
            effects.resumed.append((id, operation.client))
        }
    }

    /// Fails what of a path waits, but for late writes.
    mutating func failHeld(path: Int, error: ErrorCode, effects: inout Effects) {
        for (id, operation) in table
        where operation.path == path && !operation.isLate && operation.isWaiting {
            drop(id, error, &effects)
        }
    }

    private mutating func drop(_ id: UInt64, _ error: ErrorCode, _ effects: inout Effects) {
        guard let operation = table.removeValue(forKey: id) else { return }
        paths[operation.path].counters.failed += 1
        effects.failed.append((operation.client, error))
    }
}
