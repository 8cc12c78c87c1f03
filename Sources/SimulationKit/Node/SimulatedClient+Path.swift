import FilterCore
import VolumeModel
import VolumeProtocol

/// A direct read or write under way.
final class DirectFlight {
    let token: DirectToken
    let isWrite: Bool
    /// The filter has been told of its end.
    var isReleased = false
    /// Whoever asked has been answered, or will be by the coordinator.
    var isAnswered = false
    var isOverdue = false
    var isOver = false
    /// It may still land: it waits for the proof that it cannot.
    var isWaiting = false
    var redirect: () -> Void = {}

    init(token: DirectToken, isWrite: Bool) {
        self.token = token
        self.isWrite = isWrite
    }

    func answerByRedirecting() {
        guard !isAnswered else { return }
        isAnswered = true
        redirect()
    }
}

/// The node's path to the LUN, as ``PathCore`` has it.
extension SimulatedClient {
    /// Sends direct I/O, and looks after it if it does not end.
    func submit(
        _ flight: DirectFlight, _ payload: ModelLUN.Payload, direct: ModelLUN.DirectWrite?,
        _ completion: @escaping (LUNStatus, [Cell]) -> Void
    ) {
        flights.append(flight)
        let life = host.life
        simulation.lun.submit(node: host.index, payload, direct: direct) { [host] status, found in
            host.run(life) { [self] in
                flight.isOver = true
                flights.removeAll { $0 === flight }
                completion(status, found)
            }
        }
        host.after(simulation.scenario.overdueNanoseconds) { [self] in
            guard !flight.isOver, !flight.isOverdue else { return }
            flight.isOverdue = true
            simulation.trace(host.name, "a direct \(flight.isWrite ? "write" : "read") hangs")
            var actions: [PathAction] = []
            let verdict = path.overdue(
                flight.isWrite ? .write : .read, nowNanoseconds: host.clock, actions: &actions)
            take(verdict, flight)
            perform(actions)
        }
    }

    /// Tells the filter that an I/O has ended, once.
    func release(_ flight: DirectFlight, succeeded: Bool) {
        guard !flight.isReleased else { return }
        flight.isReleased = true
        if succeeded, filter.endAlone(flight.token, nowNanoseconds: host.clock) { return }
        answer(
            filter.ended(flight.token, succeeded: succeeded, nowNanoseconds: host.clock))
    }

    /// A direct I/O has ended badly.
    func failed(_ flight: DirectFlight, _ status: LUNStatus) {
        if flight.isWaiting {
            // What the target has refused has ended; what only the path gave up waits for the proof.
            return
        }
        var actions: [PathAction] = []
        let verdict = path.failed(
            flight.isWrite ? .write : .read,
            status == .conflict ? .reservationConflict : .inputOutput,
            nowNanoseconds: host.clock, actions: &actions)
        take(verdict, flight)
        perform(actions)
    }

    private func take(_ verdict: PathVerdict, _ flight: DirectFlight) {
        switch verdict {
        case .wait:
            flight.isWaiting = true
            waitingWrites.append(flight)
        case .redirect, .fail:
            // A read that hangs is answered otherwise, and ends when it ends.
            if flight.isWrite || flight.isOver { release(flight, succeeded: false) }
            flight.answerByRedirecting()
        }
    }

    /// A write that was overdue has ended well.
    func landedAfterAll(_ flight: DirectFlight) {
        guard flight.isWaiting else { return }
        flight.isWaiting = false
        waitingWrites.removeAll { $0 === flight }
        perform(path.handle(.landed, nowNanoseconds: host.clock))
    }

    func perform(_ actions: [PathAction]) {
        for action in actions {
            simulation.trace(host.name, "path: \(action)")
            switch action {
            case .fence:
                host.fenceOwnPath { [self] isProven in tell(.fenced(isProven: isProven)) }
            case .settle: settle()
            case .probe:
                host.after(.milliseconds(1)) { [self] in tell(.probed(probe())) }
            case .restore:
                host.restoreOwnPath { [self] isRestored in tell(.restored(isRestored)) }
            case .open:
                host.after(.milliseconds(1)) { [self] in tell(.opened(probe() == .reads)) }
            case .startDirect:
                filter.isDirect = true
            case .stopDirect:
                filter.isDirect = false
                giveGrowthsBack()
            }
        }
        if !actions.isEmpty { host.handle(.path(isUsable: !path.isLost)) }
    }

    private func tell(_ event: PathEvent) {
        perform(path.handle(event, nowNanoseconds: host.clock))
    }

    private func probe() -> PathProbe {
        let lun = simulation.lun
        guard let lun, lun.paths[host.index].fault == .none else { return .fails }
        return lun.isRegistered(host.index) ? .reads : .isFenced
    }

    private func settle() {
        let waiting = waitingWrites
        waitingWrites = []
        for flight in waiting {
            flight.isWaiting = false
            release(flight, succeeded: false)
            flight.answerByRedirecting()
        }
    }

    private func giveGrowthsBack() {
        for file in files.values.sorted(by: { $0.index.number < $1.index.number })
        where filter.holdsGrowth(file.index) {
            report(file) { _ in }
        }
    }

    /// Looks at the lease, where only that protects the volume, before anything is sent or shown.
    func lookAtLease() {
        filter.memberUntilNanoseconds = host.lease.endNanoseconds ?? 0
        guard simulation.scenario.isLeaseOnly else { return }
        let isCovered = host.mayUsePath
        guard isCovered == isSuspended else { return }
        isSuspended = !isCovered
        filter.directUntilNanoseconds = isCovered ? .max : 0
        if !isCovered { filter.revokeFlights() }
        tell(.suspended(!isCovered))
    }

    func watchPath() {
        lookAtLease()
        tell(.tick(inFlight: path.isLost ? flights.count : 0))
    }
}
