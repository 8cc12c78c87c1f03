import FUSE
import FilterCore
import Glibc
import VolumeModel

/// A probe of the path, or its opening, that has not answered.
struct PathProbeUnderWay: Sendable {
    var number: UInt64
    var opens: Bool
    var startTick: UInt32
}

/// What ``FilterCore/PathCore`` decides, done.
extension MountHandler {
    /// Tells the path's state machine something. Not under the lock.
    func handle(_ event: PathEvent) {
        let actions = state.withLock { $0.handle(event) }
        perform(actions)
    }

    func perform(_ actions: [PathAction]) {
        for action in actions {
            switch action {
            case .fence:
                Task { self.handle(.fenced(isProven: await pathGuard.fencePath())) }
            case .settle:
                settle()
            case .probe:
                probe(opens: false)
            case .restore:
                Task { self.handle(.restored(await pathGuard.restorePath())) }
            case .open:
                probe(opens: true)
            case .startDirect:
                log.notice("I/O is direct")
            case .stopDirect:
                stopDirect()
            }
        }
        publish()
    }

    /// Calls every write that waited for a proof.
    private func settle() {
        let now = MonotonicClock.nowNanoseconds
        let (called, answers) = state.withLock { state in
            var answers: [State.TicketAnswer] = []
            for index in state.directNumbers where state[direct: index].isUnanswerable {
                answers += state.close(index, succeeded: false, now)
            }
            let called = state.directNumbers.filter { state[direct: $0].mayBeSettled }
                .compactMap { state.call($0) }
            return (called, answers)
        }
        for answer in answers { answer.continuation.resume(returning: answer.report) }
        for call in called { call.slot.perform(tag: call.tag) }
    }

    /// The mount is over: writes that wait for a proof get errors. They may still land, so recalls go
    /// on waiting for the proof.
    func failUnproven() {
        let slots = state.withLock { state in
            state.directNumbers.filter { state[direct: $0].mayBeSettled }.compactMap { index in
                defer { state[direct: index].slot = nil }
                return state[direct: index].slot
            }
        }
        for slot in slots { slot.replyError(.inputOutput) }
    }

    private func stopDirect() {
        let (reasons, files, flushes) = state.withLock { state in
            let flushes = state.path.isLost ? Array(state.flushes.values) : []
            if state.path.isLost { state.flushes = [:] }
            return (state.path.reasons, state.filter.grownFiles, flushes)
        }
        for flush in flushes { flush.continuation.resume(returning: .redirected) }
        log.notice(
            "I/O goes through the coordinator",
            metadata: ["reasons": "\(reasons.map(\.rawValue).sorted().joined(separator: ","))"])
        // Whoever lengthens a file now is the coordinator.
        Task {
            for file in files { _ = await self.report(file) }
        }
    }

    // MARK: Probing

    private func probe(opens: Bool) {
        let number: UInt64? = state.withLock { state in
            guard state.probesOutstanding < MountLimits.probesMaximum, !state.isClosed else {
                return nil
            }
            state.probesOutstanding += 1
            state.lastProbe += 1
            state.probe = PathProbeUnderWay(
                number: state.lastProbe, opens: opens, startTick: state.tick)
            return state.lastProbe
        }
        guard let number else {
            handle(opens ? .opened(false) : .probed(.fails))
            return
        }
        LUNProbe.open(device: device) { self.probed(number, $0) }
    }

    private func probed(_ number: UInt64, _ result: Result<Int32, ErrorCode>) {
        let fresh = (try? result.get()).map { LUNPath(descriptor: $0) }
        var old: LUNPath?
        let actions: [PathAction] = state.withLock { state in
            state.probesOutstanding -= 1
            // Too late: another has been sent, or the mount is over.
            guard let probe = state.probe, probe.number == number, !state.isClosed else {
                return []
            }
            state.probe = nil
            switch (probe.opens, result) {
            case (true, .success):
                old = state.lun
                state.lun = fresh
                return state.handle(.opened(true))
            case (true, .failure): return state.handle(.opened(false))
            case (false, .success): return state.handle(.probed(.reads))
            case (false, .failure(.reservationConflict)):
                return state.handle(.probed(.isFenced))
            case (false, .failure): return state.handle(.probed(.fails))
            }
        }
        perform(actions)
        // Here, on the probe's own thread, may end what closing takes.
        withExtendedLifetime((fresh, old)) {}
    }

    // MARK: The watch

    /// Looks after what takes too long, until the handler is gone or the watch is cancelled.
    static func watch(_ handler: MountHandler) throws(ErrorCode) -> LUNWatch {
        try LUNWatch(intervalMilliseconds: MountLimits.tickMilliseconds) { [weak handler] in
            handler?.lookAround()
            return handler != nil
        }
    }

    private func lookAround() {
        let (called, flushes, actions) = state.withLock { state in
            state.tick &+= 1
            let flushes = state.takeOverdueFlushes()
            var actions: [PathAction] = []
            if !flushes.isEmpty {
                _ = state.path.overdue(
                    .flush, nowNanoseconds: MonotonicClock.nowNanoseconds, actions: &actions)
            }
            if let probe = state.probe,
                state.tick &- probe.startTick >= MountLimits.probePatienceTicks
            {
                // It is left behind with its thread.
                state.probe = nil
                actions += state.handle(probe.opens ? .opened(false) : .probed(.fails))
            }
            actions += state.handle(.tick(inFlight: state.inFlight))
            let called = state.callOverdue(&actions)
            return (called, flushes, actions)
        }
        for flush in flushes { flush.continuation.resume(returning: .redirected) }
        for call in called { call.slot.perform(tag: call.tag) }
        if !actions.isEmpty { perform(actions) }
    }

    // MARK: The state that others see

    var accessState: MountState {
        state.withLock { state in
            let reasons = state.path.reasons
            return MountState(
                state: reasons.isEmpty ? .direct : .redirected, reasons: reasons,
                waitingFor: state.path.waitingFor)
        }
    }

    /// Tells of a change, if there is one; one after another.
    private func publish() {
        published.withLock { last in
            let now = accessState
            guard now != last else { return }
            last = now
            onState(now)
        }
    }
}

extension MountHandler.State {
    struct Call {
        var slot: FUSESlot
        var tag: UInt64
    }

    mutating func handle(_ event: PathEvent) -> [PathAction] {
        if case .opened(true) = event { pathRestores += 1 }
        let actions = path.handle(event, nowNanoseconds: MonotonicClock.nowNanoseconds)
        followPath()
        return actions
    }

    /// After whatever may have changed the path's state.
    mutating func followPath() {
        filter.isDirect = path.isDirect && !isClosed
        if path.isLost && !wasLost { pathFailures += 1 }
        wasLost = path.isLost
    }

    /// Has the worker's thread look after a direct I/O, which stays unanswered until then.
    mutating func call(_ index: Int) -> Call? {
        guard let slot = self[direct: index].slot else { return nil }
        self[direct: index].isCalled = true
        return Call(slot: slot, tag: MountHandler.directTag | UInt64(index))
    }

    /// Direct I/O that takes too long, and writes that wait for a proof that is there.
    /// The path is lost with the first: here, not on the worker's thread, which may hang with it.
    fileprivate mutating func callOverdue(_ actions: inout [PathAction]) -> [Call] {
        guard filter.flightCount > 0 else { return [] }
        var calls: [Call] = []
        for index in directNumbers where isOverdue(index) {
            if !self[direct: index].awaitsProof {
                let verdict = path.overdue(
                    self[direct: index].operation, nowNanoseconds: MonotonicClock.nowNanoseconds,
                    actions: &actions)
                if verdict == .wait {
                    self[direct: index].awaitsProof = true
                    continue
                }
            }
            if let call = call(index) { calls.append(call) }
        }
        followPath()
        return calls
    }

    private func isOverdue(_ index: Int) -> Bool {
        let io = self[direct: index]
        if io.mayBeSettled { return !path.needsProof }
        guard io.isActive, !io.isCalled, !io.awaitsProof, case .inFlight = io.outcome else {
            return false
        }
        let age = tick &- io.startTick
        if age < MountLimits.directReadPatienceTicks { return false }
        if io.operation == .read || path.isLost { return true }
        return age >= MountLimits.directWritePatienceTicks
            || age >= MountLimits.recallPatienceTicks
                && filter.delaysRecall(DirectToken(number: Int32(index)))
    }

    fileprivate mutating func takeOverdueFlushes() -> [FlushWait] {
        guard !flushes.isEmpty else { return [] }
        let overdue = flushes.filter {
            tick &- $0.value.startTick >= MountLimits.flushPatienceTicks
        }
        for number in overdue.keys { flushes[number] = nil }
        return Array(overdue.values)
    }
}

extension DirectIO {
    fileprivate var isActive: Bool {
        if case .none = request { false } else { true }
    }

    /// A write that a proof would let go on.
    fileprivate var mayBeSettled: Bool {
        isActive && awaitsProof && !isCalled && slot != nil
    }

    /// A write that may still land, and whose caller is gone with the mount.
    fileprivate var isUnanswerable: Bool { isActive && slot == nil }
}
