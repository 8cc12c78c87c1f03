import FUSE
import FilterCore
import NIOCore
import VolumeModel
import VolumeProtocol

/// The end of direct I/O: well, badly, late, or never.
extension MountHandler {
    /// What to do after the lock is released.
    struct Ending {
        var end = DirectEnd.wait
        var io: DirectIO
        var answers: [State.TicketAnswer] = []
        var actions: [PathAction] = []
    }

    /// Tags of requests that wait for a layout count from 1; a direct I/O's has this bit.
    static let directTag: UInt64 = 1 << 63

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {
        let outcome = DirectOutcome(results)
        let now = MonotonicClock.nowNanoseconds
        let token = DirectToken(number: Int32(tag))
        if case .complete = outcome,
            let io = state.withLane(token.lane, { $0.endAlone(token, now) })
        {
            return answer(io, slot)
        }
        let ending = state.withLock { state in
            let index = Int(tag)
            state.endInFlight(token)
            state[direct: index].outcome = outcome
            // The call that is on its way finds it.
            if state[direct: index].isCalled { return Ending(io: state[direct: index]) }
            return state.end(index, now)
        }
        finish(ending, slot)
    }

    func abandoned(tag: UInt64, results: FUSEIOResults) {
        state.withLock { $0.endInFlight(DirectToken(number: Int32(tag))) }
    }

    /// The watch, or a proof, has called a direct I/O; on its worker's thread.
    func called(_ slot: FUSESlot, _ index: Int) {
        let now = MonotonicClock.nowNanoseconds
        let ending = state.withLock { state in
            state[direct: index].isCalled = false
            if case .inFlight = state[direct: index].outcome { return state.overdue(index) }
            return state.end(index, now)
        }
        guard case .leave = ending.end else { return finish(ending, slot) }
        leave(index, ending.io, slot, now)
    }

    private func leave(_ index: Int, _ io: DirectIO, _ slot: FUSESlot, _ now: UInt64) {
        var payload: ByteBuffer?
        if case .write(let request) = io.request { payload = self.payload(of: request, slot) }
        guard let fresh = slot.abandonIO() else {
            // Nowhere to go on: the watch calls again.
            state.withLock { state in
                state[direct: index].startTick = state.tick
                state[direct: index].awaitsProof = false
            }
            return
        }
        let (answers, isLost) = state.withLock { state in
            let isLost = state.filter.isLost(io.file)
            return (state.close(index, succeeded: false, now), isLost)
        }
        for answer in answers { answer.continuation.resume(returning: answer.report) }
        // The new slot has no I/O: it can be given back at once.
        switch io.request {
        case _ where isLost: fresh.replyError(.inputOutput)
        case .read(let request): redirect(request, fresh)
        case .write(let request): redirect(request, fresh, payload: payload ?? ByteBuffer())
        case .none: preconditionFailure("a direct I/O was left that was never started")
        }
    }

    private func finish(_ ending: Ending, _ slot: FUSESlot) {
        for answer in ending.answers { answer.continuation.resume(returning: answer.report) }
        if !ending.actions.isEmpty { perform(ending.actions) }
        let io = ending.io
        switch (ending.end, io.request) {
        case (.wait, _), (.leave, _):
            break
        case (.fail(let error), _):
            slot.replyError(error)
        case (.answer, .read), (.answer, .write):
            answer(io, slot)
        case (.redirect, .read(let request)):
            redirect(request, slot)
        case (.redirect, .write(let request)):
            redirect(request, slot)
        case (_, .none):
            preconditionFailure("a direct I/O ended that was never started")
        }
    }

    private func answer(_ io: DirectIO, _ slot: FUSESlot) {
        switch io.operation {
        case .read: slot.replyRead(bufferOffset: io.skipBytes, length: io.lengthBytes)
        default: slot.replyWritten(UInt32(io.lengthBytes))
        }
    }
}

extension MountHandler.State {
    /// The kernel is done with one direct I/O.
    mutating func endInFlight(_ token: DirectToken) {
        lanes[token.lane].inFlight -= 1
        if isClosed && inFlight == 0 { lun = nil }
    }

    /// Takes a direct I/O that succeeded out of the books, where it concerns nobody but its lane. Nil:
    /// nothing was done. With the lane.
    borrowing func endAlone(_ token: DirectToken, _ now: UInt64) -> DirectIO? {
        guard !isClosed, lanes[token.lane].isUncalled(token.position),
            filter.endAlone(token, nowNanoseconds: now)
        else { return nil }
        return lanes[token.lane].takeAnswered(token.position)
    }

    /// Decides about a direct I/O whose LUN I/O is over.
    mutating func end(_ index: Int, _ now: UInt64) -> MountHandler.Ending {
        let io = self[direct: index]
        var ending = MountHandler.Ending(io: io)
        let isLost = filter.isLost(io.file)
        switch io.outcome {
        case .inFlight:
            preconditionFailure("a direct I/O ended that is in flight")
        case .complete:
            if io.awaitsProof { ending.actions = path.handle(.landed, nowNanoseconds: now) }
            let token = DirectToken(number: Int32(index))
            let isValid =
                io.operation == .write || filter.mayDeliver(token, nowNanoseconds: now)
            ending.end = isLost ? .fail(.inputOutput) : isValid ? .answer : .redirect
        case .failed(let error):
            if io.awaitsProof {
                if path.needsProof && !PathCore.hasEnded(error) { return ending }
                ending.actions = path.handle(.landed, nowNanoseconds: now)
                ending.end = .redirect
            } else if isLost {
                // Nothing of a fenced node's lands late, and nobody asks for this any more.
                _ = path.failed(.read, error, nowNanoseconds: now, actions: &ending.actions)
            } else {
                let verdict = path.failed(
                    io.operation, error, nowNanoseconds: now, actions: &ending.actions)
                followPath()
                if verdict == .wait {
                    self[direct: index].awaitsProof = true
                    return ending
                }
                ending.end = .redirect
            }
            if isLost { ending.end = .fail(.inputOutput) }
        }
        followPath()
        var succeeded = false
        if case .complete = io.outcome { succeeded = !isLost }
        ending.answers = close(index, succeeded: succeeded, now)
        if case .answer = ending.end {
            lanes[DirectToken(number: Int32(index)).lane].count(io)
        }
        return ending
    }

    /// Decides about a direct I/O in flight that was called: a read that takes too long, or a write
    /// whose proof has come.
    func overdue(_ index: Int) -> MountHandler.Ending {
        let io = self[direct: index]
        return MountHandler.Ending(
            end: io.awaitsProof && path.needsProof ? .wait : .leave, io: io)
    }

    /// Takes a direct I/O out of the books; its number may be another's at once.
    mutating func close(_ index: Int, succeeded: Bool, _ now: UInt64) -> [TicketAnswer] {
        let file = self[direct: index].file
        self[direct: index].request = .none
        let ended = filter.ended(
            DirectToken(number: Int32(index)), succeeded: succeeded, nowNanoseconds: now)
        // Before the write is answered: what is not noted then is lost with this process.
        if filter.holdsGrowth(file) { noteGrowth(of: file) }
        return takeTickets(ended)
    }
}
