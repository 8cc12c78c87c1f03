import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

extension MountHandler {
    /// Asks for the layout from `range` on, unless somebody already does for this file: then it waits
    /// for that one. The caller plans again either way.
    func obtainLayout(_ file: FileIndex, _ handle: FileHandle, _ range: ByteRange) async {
        let isFirst = state.withLock { state in
            if state.layoutWaiters[file] != nil { return false }
            state.layoutWaiters[file] = []
            return true
        }
        if !isFirst {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.layoutWaiters[file] == nil { return true }
                    state.layoutWaiters[file]?.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
            return
        }
        let ahead = ByteRange(
            start: range.startBytes,
            end: max(range.endBytes, range.startBytes &+ MountLimits.layoutAheadBytes))
        let generation = coordinatorGeneration
        let answer = await ask(.layoutGet(handle, ahead))
        let waiters = state.withLock { state in
            if case .layout(let grant) = answer.result, state.coordinatorGeneration == generation {
                _ = state.filter.apply(grant, to: file, asGrowth: false)
            }
            return state.layoutWaiters.removeValue(forKey: file) ?? []
        }
        for waiter in waiters { waiter.resume() }
    }

    /// In the file's turn, so that it is not closed meanwhile: a grant must not outlive the open that it
    /// was asked for.
    func obtainMapAhead(_ file: FileIndex, _ handle: FileHandle, _ range: ByteRange) async {
        await takeTurn(file)
        defer { endTurn(file) }
        guard state.withLock({ $0.filter.index(of: handle) == file }) else { return }
        await obtainLayout(file, handle, range)
    }

    /// Asks to write up to `end` directly, beyond the end of the file. False: the data go along.
    func obtainGrowth(
        _ file: FileIndex, _ handle: FileHandle, _ end: UInt64, _ size: UInt64
    ) async -> Bool {
        await takeTurn(file)
        defer { endTurn(file) }
        if state.withLock({ $0.filter.isUnsettled(file) }), await returnGrowth(file) != nil {
            return false
        }
        guard let request = state.withLock({ $0.filter.growthRequest(file) }) else { return false }
        let ahead = state.withLock { state in
            let last = state.growthAheadBytes[file] ?? 0
            let next = min(max(last * 2, size), MountLimits.growthAheadMaximumBytes)
            state.growthAheadBytes[file] = next
            return next
        }
        let start = end - size
        let range = ByteRange(start: start, end: end &+ (ahead > size ? ahead : 0))
        let generation = coordinatorGeneration
        let answer = await ask(.layoutGrow(handle, range))
        guard case .growth(let grant) = answer.result else { return false }
        return state.withLock { state in
            guard state.coordinatorGeneration == generation,
                state.filter.apply(grant, to: file, asGrowth: true, request: request)
            else { return false }
            state.noteGrowth(of: file)
            return true
        }
    }

    /// Asks for blocks within the file to be zeroed, so that they can be written directly. False: the
    /// data go along.
    func obtainFill(
        _ file: FileIndex, _ handle: FileHandle, _ blocks: ByteRange
    ) async -> Bool {
        await takeTurn(file)
        defer { endTurn(file) }
        // Who had the turn before may have asked for these as well.
        guard state.withLock({ $0.filter.needsFill(file, blocks) }) else { return true }
        let range = state.withLock { $0.filter.fillRange(file, for: blocks) }
        return await requestFill(file, handle, range, for: blocks)
    }

    func obtainFillAhead(_ file: FileIndex, _ handle: FileHandle, _ range: ByteRange) async {
        await takeTurn(file)
        defer { endTurn(file) }
        // The file may have been closed, and its index be another's. It is not closed in this turn. And
        // who had the turn before may have asked for this.
        guard
            state.withLock({
                $0.filter.index(of: handle) == file && $0.filter.mayNeedFill(file, range)
            })
        else { return }
        _ = await requestFill(file, handle, range, for: range)
    }

    /// In the file's turn.
    private func requestFill(
        _ file: FileIndex, _ handle: FileHandle, _ range: ByteRange, for blocks: ByteRange
    ) async -> Bool {
        let generation = state.withLock { state in
            state.filter.beginFill(file, range)
            return state.coordinatorGeneration
        }
        let answer = await ask(.layoutFill(handle, range))
        return state.withLock { state in
            guard case .layout(let grant) = answer.result,
                state.coordinatorGeneration == generation
            else {
                state.filter.fillFailed(file)
                return false
            }
            return state.filter.applyFill(grant, to: file, for: blocks)
        }
    }

    /// Gives a file's growth and its unreported writes to the coordinator, once nothing is in flight
    /// beyond the old end.
    func report(_ file: FileIndex) async -> ErrorCode? {
        await takeTurn(file)
        defer { endTurn(file) }
        return await returnGrowth(file)
    }

    /// In the file's turn.
    private func returnGrowth(_ file: FileIndex) async -> ErrorCode? {
        let handle = state.withLock { $0.filter.handle(of: file) }
        let report = await withCheckedContinuation { continuation in
            let ended = state.withLock { state in
                let ticket = state.newTicket(continuation)
                let ended = state.filter.returnGrowth(
                    file, ticket: ticket, nowNanoseconds: MonotonicClock.nowNanoseconds)
                return ended.map { state.takeTickets([$0]) } ?? []
            }
            for answer in ended { answer.continuation.resume(returning: answer.report) }
        }
        if report.isEmpty { return nil }
        let answer = await ask(.layoutReturn(handle, ByteRange(start: 0, end: 0), report))
        state.withLock { state in
            state.filter.growthReturned(file)
            state.noteGrowth(of: file)
        }
        if case .failed(let error) = answer.result { return error }
        return nil
    }

    /// Requests and returns of one file's growth go one after another, each with its reply: the
    /// coordinator could not tell a late return of an old growth from that of a new one.
    private func takeTurn(_ file: FileIndex) async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.growthTurns[file] == nil {
                    state.growthTurns[file] = []
                    return true
                }
                state.growthTurns[file]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func endTurn(_ file: FileIndex) {
        let next: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard var waiting = state.growthTurns[file], !waiting.isEmpty else {
                state.growthTurns[file] = nil
                return nil
            }
            let next = waiting.removeFirst()
            state.growthTurns[file] = waiting
            return next
        }
        next?.resume()
    }

    /// A recall of the coordinator's; returns once no direct I/O is left in the range.
    func recall(
        _ handle: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport {
        statistics.recalls.add(1, ordering: .relaxed)
        return await withCheckedContinuation { continuation in
            let ended = state.withLock { state in
                let ticket = state.newTicket(continuation)
                let ended = state.filter.recall(
                    handle, range, generation, ticket: ticket,
                    nowNanoseconds: MonotonicClock.nowNanoseconds)
                return ended.map { state.takeTickets([$0]) } ?? []
            }
            for answer in ended { answer.continuation.resume(returning: answer.report) }
        }
    }

    func collectWrites(_ handle: FileHandle) -> WriteReport {
        state.withLock {
            $0.filter.collectWrites(handle, nowNanoseconds: MonotonicClock.nowNanoseconds)
        }
    }
}

extension MountHandler.State {
    struct TicketAnswer {
        var continuation: CheckedContinuation<WriteReport, Never>
        var report: WriteReport
    }

    mutating func newTicket(_ continuation: CheckedContinuation<WriteReport, Never>) -> RecallTicket
    {
        lastTicket += 1
        let ticket = RecallTicket(number: lastTicket)
        tickets[ticket] = continuation
        return ticket
    }

    mutating func takeTickets(_ ended: [EndedRecall]) -> [TicketAnswer] {
        guard !ended.isEmpty else { return [] }
        return ended.compactMap { recall in
            tickets.removeValue(forKey: recall.ticket).map {
                TicketAnswer(continuation: $0, report: recall.report)
            }
        }
    }
}
