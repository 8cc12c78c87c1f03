import VolumeModel
import VolumeProtocol

/// Knows what programs were told, and checks everything that they are told against it.
final class Oracle {
    static let cellsPerFile = 112

    final class Ledger {
        var cells = Array(repeating: CellHistory(), count: Oracle.cellsPerFile)
        /// Changes of size under way, and the size after the last, if it was alone.
        var sizeChanges = 0
        var sizeEpoch = 0
        var knownSizeBytes: UInt64?
        /// Lives that wrote beyond the visible end and have not given that back.
        var volatileOwners: Set<UInt64> = []
    }

    struct HeldLock {
        var session: NodeIdentity
        var request: LockRequest
    }

    unowned let simulation: Simulation
    private var ledgers: [FileHandle: Ledger] = [:]
    private var runningReads: [UInt64: UInt64] = [:]
    private var lastNumber: UInt64 = 0
    private var acknowledgedEffects: [UInt64: FileSystemState.Effect] = [:]
    private var failedOperations: Set<UInt64> = []
    private(set) var locks: [HeldLock] = []
    private var fencedNodes: Set<NodeIdentity> = []

    private var nameLedgers: [[UInt8]: NameLedger] = [:]

    func nameLedger(_ name: [UInt8]) -> NameLedger {
        if let known = nameLedgers[name] { return known }
        let fresh = NameLedger()
        nameLedgers[name] = fresh
        return fresh
    }

    init(simulation: Simulation) { self.simulation = simulation }

    func ledger(_ file: FileHandle) -> Ledger {
        if let known = ledgers[file] { return known }
        let fresh = Ledger()
        ledgers[file] = fresh
        return fresh
    }

    // MARK: Data

    /// A write, or anything that changes cells as one does, begins.
    func beginWrite(_ file: FileHandle, _ range: Range<Int>, value: (Int) -> Cell?) -> UInt64 {
        lastNumber += 1
        let ledger = ledger(file)
        for cell in range.clamped(to: 0..<Self.cellsPerFile) {
            ledger.cells[cell].begin(lastNumber, value(cell), at: simulation.now)
        }
        return lastNumber
    }

    func endWrite(
        _ file: FileHandle, _ range: Range<Int>, _ number: UInt64, volatileOwner: NodeIdentity?
    ) {
        let ledger = ledger(file)
        let owner = volatileOwner?.incarnation.number
        if let owner { ledger.volatileOwners.insert(owner) }
        let oldest = runningReads.values.min() ?? simulation.now
        for cell in range.clamped(to: 0..<Self.cellsPerFile) {
            ledger.cells[cell].end(
                number, at: simulation.now, volatileOwner: owner, oldestRead: oldest)
        }
    }

    func beginRead() -> (number: UInt64, start: UInt64) {
        lastNumber += 1
        runningReads[lastNumber] = simulation.now
        return (lastNumber, simulation.now)
    }

    func endRead(
        _ read: (number: UInt64, start: UInt64), _ file: FileHandle, cell: Int, count: Int,
        _ found: [Cell], by node: NodeIdentity
    ) {
        runningReads[read.number] = nil
        let ledger = ledger(file)
        for offset in 0..<count where cell + offset < Self.cellsPerFile {
            let value = offset < found.count ? found[offset] : 0
            let history = ledger.cells[cell + offset]
            if !history.allows(value, from: read.start, to: simulation.now) {
                simulation.fail(
                    "a read returned something else than the last write",
                    "\(node) read cell \(cell + offset) of \(file): \(describe(value)); the "
                        + "last writes were "
                        + history.writes.suffix(4).map {
                            describe($0.value) + " from " + TraceLine.seconds($0.start)
                                + ($0.end == .max ? "" : " to " + TraceLine.seconds($0.end))
                        }.joined(separator: ", "))
                return
            }
        }
    }

    func abandonRead(_ read: (number: UInt64, start: UInt64)) { runningReads[read.number] = nil }

    /// Where a write went is known now.
    func narrowWrite(_ file: FileHandle, _ number: UInt64, to range: Range<Int>) {
        let ledger = ledger(file)
        for cell in ledger.cells.indices where !range.contains(cell) {
            ledger.cells[cell].withdraw(number)
        }
    }

    private func describe(_ value: Cell?) -> String {
        guard let value else { return "a copy" }
        return value == 0 ? "zero" : "write \(value >> 7) cell \(value & 127)"
    }

    // MARK: Sizes

    func beginSizeChange(_ file: FileHandle) {
        let ledger = ledger(file)
        ledger.sizeChanges += 1
        ledger.sizeEpoch += 1
        if ledger.sizeChanges > 1 { ledger.knownSizeBytes = nil }
    }

    /// `change` tells the new size from the one before; nil: it is not known.
    func endSizeChange(_ file: FileHandle, _ change: ((UInt64) -> UInt64)?) {
        let ledger = ledger(file)
        ledger.sizeChanges -= 1
        ledger.sizeEpoch += 1
        guard ledger.sizeChanges == 0, let change else {
            ledger.knownSizeBytes = nil
            return
        }
        ledger.knownSizeBytes = ledger.knownSizeBytes.map(change)
    }

    /// A number to compare after the size was asked for; nil: it changes just now.
    func beginStat(_ file: FileHandle) -> Int? {
        let ledger = ledger(file)
        return ledger.sizeChanges == 0 ? ledger.sizeEpoch : nil
    }

    func endStat(_ file: FileHandle, _ epoch: Int?, _ size: UInt64) {
        let ledger = ledger(file)
        guard let epoch, ledger.sizeEpoch == epoch else { return }
        if let known = ledger.knownSizeBytes, known != size {
            simulation.fail("a size is wrong", "\(file) has \(size) bytes, not \(known)")
        }
        ledger.knownSizeBytes = size
    }

    // MARK: Nodes

    /// A node has given its growth of a file back: nothing of it can be lost any more.
    func settled(_ file: FileHandle, _ node: NodeIdentity) {
        let owner = node.incarnation.number
        guard let ledger = ledgers[file], ledger.volatileOwners.remove(owner) != nil else { return }
        for cell in ledger.cells.indices { ledger.cells[cell].settle(owner) }
    }

    /// A life has ended: what it had under way may or may not happen.
    func lost(_ node: NodeIdentity) {
        let owner = node.incarnation.number
        for ledger in ledgers.values where ledger.volatileOwners.remove(owner) != nil {
            for cell in ledger.cells.indices { ledger.cells[cell].lose(owner) }
            ledger.knownSizeBytes = nil
            // Whatever the size is now is known when nothing changes it: that comes too late here.
            ledger.sizeEpoch += 1
        }
    }

    /// A fence is proven: from now on the node's locks are others' to take, and its growths are cut.
    func fenced(_ node: NodeIdentity) {
        fencedNodes.insert(node)
        locks.removeAll { $0.session == node }
        lost(node)
    }

    // MARK: Locks

    /// A program is told that it has a lock. A daemon that stood still may pass that on long after
    /// its node was fenced: it excludes nobody then, as none of the program's I/O arrives.
    func locked(_ request: LockRequest, _ session: NodeIdentity) {
        guard !fencedNodes.contains(session) else { return }
        for held in locks
        where held.request.file == request.file && held.request.kind == request.kind
            && (held.session != session || held.request.owner != request.owner)
            && (held.request.type == .write || request.type == .write)
            && held.request.startBytes <= request.lastBytes
            && request.startBytes <= held.request.lastBytes
        {
            simulation.fail(
                "two hold a lock that excludes", "\(held.session) and \(session), \(request.file)")
        }
        locks.append(HeldLock(session: session, request: request))
    }

    func unlocking(_ session: NodeIdentity, owner: UInt64, _ file: FileHandle) {
        locks.removeAll {
            $0.session == session && $0.request.owner == owner && $0.request.file == file
        }
    }

    // MARK: Metadata operations

    /// A program is told what became of its operation: that is what the LUN has, once, and for good.
    func acknowledged(_ ghost: UInt64, _ result: OperationResult) {
        simulation.counts.operations += 1
        let effect = simulation.lun.metadata.effects[ghost]
        if case .failed(.inputOutput) = result {
            // Its node was fenced: whether it was done, nobody was told.
            return
        }
        if case .failed(let error) = result {
            if let effect, effect.count > 0 {
                simulation.fail(
                    "an operation was done and reported as failed",
                    "operation \(ghost): \(error)")
            }
            failedOperations.insert(ghost)
            return
        }
        guard let effect else {
            simulation.fail(
                "an acknowledged change is not durable", "operation \(ghost): \(result)")
            return
        }
        if effect.mustBeOnce, effect.count != 1 {
            simulation.fail(
                "an operation took effect more than once",
                "operation \(ghost), \(effect.count) times")
        } else if effect.result != result.digest {
            simulation.fail(
                "an operation's caller got another result than it had", "operation \(ghost)")
        }
        acknowledgedEffects[ghost] = effect
    }

    /// A coordinator has replayed the journal: everything that was acknowledged is there.
    func mounted(_ state: FileSystemState) {
        for (ghost, known) in acknowledgedEffects.sorted(by: { $0.key < $1.key }) {
            guard let effect = state.effects[ghost] else {
                simulation.fail(
                    "an acknowledged change is gone after recovery", "operation \(ghost)")
                return
            }
            if effect != known {
                simulation.fail(
                    "an operation was done again after it was acknowledged",
                    "operation \(ghost)")
                return
            }
        }
        for ghost in failedOperations.sorted() where state.effects[ghost] != nil {
            simulation.fail(
                "an operation took effect that was reported as failed", "operation \(ghost)")
            return
        }
    }

    func checkAtEnd() { mounted(simulation.truth) }
}
