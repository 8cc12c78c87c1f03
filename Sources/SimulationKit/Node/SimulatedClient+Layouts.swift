import CoordinatorCore
import FilterCore
import VolumeModel
import VolumeProtocol

extension SimulatedClient {
    /// Asks for the layout from `range` on, unless somebody already does for this file.
    func obtainLayout(_ file: OpenFile, _ range: ByteRange, _ done: @escaping () -> Void) {
        if file.isAskingForLayout {
            file.layoutWaiters.append(done)
            return
        }
        file.isAskingForLayout = true
        let end = simulation.random.chance(0.5) ? range.endBytes : range.endBytes + (1 << 30)
        let asked = linkGeneration
        call(.layoutGet(file.handle, ByteRange(start: range.startBytes, end: end))) {
            [self] result, _ in
            if case .layout(let grant) = result, isCurrent(asked) {
                let isTaken = filter.apply(grant, to: file.index, asGrowth: false)
                simulation.trace(
                    host.name,
                    "\(isTaken ? "takes" : "drops") a grant of \(file.handle) \(grant.range), "
                        + "generation \(grant.generation)")
            }
            file.isAskingForLayout = false
            let waiters = file.layoutWaiters
            file.layoutWaiters = []
            for waiter in waiters { waiter() }
            done()
        }
    }

    /// A grant that was asked of an earlier coordinator counts for nothing.
    private func isCurrent(_ asked: Int) -> Bool {
        asked == linkGeneration || !rules.contains(.epochInEveryMessage)
    }

    /// Asks to write up to `end` directly, beyond the end of the file. False: the data go along.
    func obtainGrowth(
        _ file: OpenFile, _ range: ByteRange, _ done: @escaping (Bool) -> Void
    ) {
        takeTurn(file) { [self] in
            guard filter.isUnsettled(file.index) else {
                requestGrowth(file, range, done)
                return
            }
            returnGrowth(file) { [self] error in
                if error == nil {
                    requestGrowth(file, range, done)
                } else {
                    endTurn(file)
                    done(false)
                }
            }
        }
    }

    /// In the file's turn, which it ends.
    private func requestGrowth(
        _ file: OpenFile, _ range: ByteRange, _ done: @escaping (Bool) -> Void
    ) {
        guard let request = filter.growthRequest(file.index) else {
            endTurn(file)
            done(false)
            return
        }
        let ahead = UInt64(simulation.random.below(4)) * Limits.blockSizeBytes
        let asked = linkGeneration
        call(
            .layoutGrow(
                file.handle, ByteRange(start: range.startBytes, end: range.endBytes + ahead))
        ) { [self] result, _ in
            var isTaken = false
            if case .growth(let grant) = result, isCurrent(asked) {
                isTaken = filter.apply(
                    grant, to: file.index, asGrowth: true, request: request)
                simulation.trace(
                    host.name,
                    "\(isTaken ? "takes" : "drops") growth of \(file.handle) \(grant.range)")
            }
            endTurn(file)
            done(isTaken)
        }
    }

    /// Asks for blocks within the file to be zeroed: those of a write, and by chance what comes next.
    func obtainFill(
        _ file: OpenFile, _ blocks: ByteRange, _ done: @escaping (Bool) -> Void
    ) {
        takeTurn(file) { [self] in
            guard filter.needsFill(file.index, blocks) else {
                endTurn(file)
                done(true)
                return
            }
            let range =
                simulation.random.chance(0.5)
                ? blocks : filter.fillRange(file.index, for: blocks)
            let asked = linkGeneration
            filter.beginFill(file.index, range)
            call(.layoutFill(file.handle, range)) { [self] result, _ in
                var isTaken = false
                if case .layout(let grant) = result, isCurrent(asked) {
                    isTaken = filter.applyFill(grant, to: file.index, for: blocks)
                    simulation.trace(
                        host.name,
                        "\(isTaken ? "takes" : "drops") a fill of \(file.handle) \(grant.range)")
                } else {
                    filter.fillFailed(file.index)
                }
                endTurn(file)
                done(isTaken)
            }
        }
    }

    /// Gives a file's growth and its unreported writes to the coordinator.
    func report(_ file: OpenFile, _ done: @escaping (ErrorCode?) -> Void) {
        takeTurn(file) { [self] in
            returnGrowth(file) { [self] error in
                endTurn(file)
                done(error)
            }
        }
    }

    /// In the file's turn.
    private func returnGrowth(_ file: OpenFile, _ done: @escaping (ErrorCode?) -> Void) {
        lastTicket += 1
        let ticket = RecallTicket(number: lastTicket)
        tickets[ticket] = { [self] report in
            if report.isEmpty {
                done(nil)
                return
            }
            call(.layoutReturn(file.handle, ByteRange(start: 0, end: 0), report)) {
                [self] result, _ in
                filter.growthReturned(file.index)
                if case .failed(let error) = result { done(error) } else { done(nil) }
            }
        }
        let ended = filter.returnGrowth(file.index, ticket: ticket, nowNanoseconds: host.clock)
        if let ended { answer([ended]) }
    }

    private func takeTurn(_ file: OpenFile, _ body: @escaping () -> Void) {
        if file.isGrowthTurnTaken {
            file.growthTurns.append(body)
        } else {
            file.isGrowthTurnTaken = true
            body()
        }
    }

    private func endTurn(_ file: OpenFile) {
        if file.growthTurns.isEmpty {
            file.isGrowthTurnTaken = false
        } else {
            file.growthTurns.removeFirst()()
        }
    }

    func recall(
        _ id: RecallID, _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration,
        _ done: @escaping (WriteReport) -> Void
    ) {
        lastTicket += 1
        let ticket = RecallTicket(number: lastTicket)
        tickets[ticket] = { [self] report in
            simulation.trace(host.name, "returns \(file) \(range)")
            done(report)
        }
        let ended = filter.recall(
            file, range, generation, ticket: ticket, nowNanoseconds: host.clock)
        if let ended { answer([ended]) }
    }

    func answer(_ ended: [EndedRecall]) {
        for recall in ended { tickets.removeValue(forKey: recall.ticket)?(recall.report) }
    }

    // MARK: Change of coordinator

    /// The coordinator is no more, or another one is: what this node holds, it keeps.
    func leave() {
        isJoined = false
        epoch = nil
        coordinator = nil
        calls = calls.filter { !$0.value.isReclaim }
        filter.leaveCoordinator()
    }

    /// Tells a new coordinator what this node holds.
    func reclaim(_ done: @escaping () -> Void) {
        let generation = linkGeneration
        func next(_ steps: [() -> Operation?]) {
            guard generation == linkGeneration else { return }
            guard let first = steps.first else {
                done()
                return
            }
            let rest = Array(steps.dropFirst())
            guard let operation = first() else {
                next(rest)
                return
            }
            tell(operation) { [self] result, _ in
                // A growth that was settled long ago: the rest is told without it.
                let isRepeated = reclaimed(operation, result)
                next(isRepeated ? steps : rest)
            }
        }
        var steps: [() -> Operation?] = opens.sorted { $0.key.number < $1.key.number }
            .map { open, file in { .open(file, open) } }
        for file in filter.claimedFiles {
            steps.append { [self] in
                filter.claim(of: file).map {
                    .reclaimLayout($0.handle, $0.ranges, growth: $0.growth)
                }
            }
        }
        let locks = heldLocks.requests.sorted {
            ($0.file.description, $0.owner, $0.kind.rawValue, $0.startBytes)
                < ($1.file.description, $1.owner, $1.kind.rawValue, $1.startBytes)
        }
        steps += locks.map { lock in { .reclaimLock(lock) } }
        steps.append { .reclaimed }
        next(steps)
    }

    /// True where it is to be told again, as it is now.
    private func reclaimed(_ operation: Operation, _ result: OperationResult) -> Bool {
        guard case .failed(let error) = result else {
            if case .reclaimLayout(let handle, _, let growth) = operation, growth != nil {
                filter.index(of: handle).map { filter.takeUp($0) }
            }
            return false
        }
        simulation.trace(host.name, "cannot reclaim: \(operation): \(error)")
        switch operation {
        case .open(let handle, _):
            if let file = filter.index(of: handle) { lose(handle, file) }
        case .reclaimLayout(let handle, _, let growth):
            guard let file = filter.index(of: handle) else { return false }
            if growth != nil, filter.isUnsettled(file) {
                filter.settled(file)
                return true
            }
            lose(handle, file)
        default:
            break
        }
        return false
    }

    private func lose(_ handle: FileHandle, _ file: FileIndex) {
        filter.lose(file)
        files[handle] = nil
        for (open, opened) in opens where opened == handle { opens[open] = nil }
    }
}
