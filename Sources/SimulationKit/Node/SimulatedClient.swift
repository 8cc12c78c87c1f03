import CoordinatorCore
import FilterCore
import VolumeModel
import VolumeProtocol

/// The shell around ``FilterCore``, as `VolumeMount` is in the daemon: it plays the kernel's requests,
/// moves data, and speaks with the coordinator.
final class SimulatedClient {
    /// A request that waits for its answer, over as many coordinators as that takes.
    struct Call {
        var operation: Operation
        var cells: [Cell]
        var slot: UInt16
        var ghost: UInt64
        /// Counts the sessions: a grant that was asked of an earlier coordinator is not taken.
        var linkGeneration: Int
        var attempts = 0
        /// What a new coordinator is told: it counts for that coordinator alone.
        var isReclaim = false
        /// What the cache of metadata was told before the request was sent.
        var metadata: MetadataCache.Request
        var completion: (OperationResult, [Cell]) -> Void
    }

    unowned let host: SimulatedHost
    var filter: FilterCore
    var pathKey: UInt64 = 0
    var path: PathCore
    var isSuspended = false
    var isEnded = false

    // The session.
    var epoch: Epoch?
    var coordinator: SimulatedHost?
    var isJoined = false
    var linkGeneration = 0
    var calls: [UInt64: Call] = [:]
    private var lastSequence: UInt64 = 0
    private var freeSlots: [UInt16] = (0..<6).reversed()
    private var waitingForSlot: [() -> Void] = []

    // Files.
    var opens: [OpenID: FileHandle] = [:]
    var files: [FileHandle: OpenFile] = [:]
    var lastOpen: UInt64 = 0
    var heldLocks = HeldLocks()

    // Direct I/O.
    var flights: [DirectFlight] = []
    /// Writes that may still land, and wait for the proof that they cannot.
    var waitingWrites: [DirectFlight] = []
    var tickets: [RecallTicket: (WriteReport) -> Void] = [:]
    var lastTicket: UInt64 = 0
    /// A real node has a lane for each of its workers; here requests go in one after the other.
    private static let lanes = 2
    private var lastLane = 0

    private var processes: [SimulatedProcess] = []

    var simulation: Simulation { host.simulation }
    var rules: SafetyRules { host.simulation.rules }

    init(host: SimulatedHost) {
        self.host = host
        let rules = host.simulation.rules
        filter = FilterCore(rules: rules, lanes: Self.lanes)
        path = PathCore(rules: rules, timings: .simulated)
    }

    func nextLane() -> Int {
        lastLane = (lastLane + 1) % Self.lanes
        return lastLane
    }

    func startProcesses() {
        for number in 0..<simulation.scenario.processesPerNode {
            let process = SimulatedProcess(client: self, number: number)
            processes.append(process)
            process.start()
        }
    }

    /// The daemon's end: its mount is gone, and with it everything that used it.
    func end() {
        isEnded = true
        simulation.oracle.lost(host.identity)
        for process in processes { process.end() }
        processes = []
        calls = [:]
        files = [:]
        flights = []
        waitingWrites = []
        tickets = [:]
        waitingForSlot = []
        forgetSession()
    }

    private func forgetSession() {
        linkGeneration += 1
        isJoined = false
        epoch = nil
        coordinator = nil
    }

    /// Fenced while alive: what was open answers EIO from now on.
    func loseEverything(_ done: @escaping () -> Void) {
        simulation.oracle.lost(host.identity)
        forgetSession()
        _ = filter.loseEverything()
        opens = [:]
        files = [:]
        heldLocks.removeAll()
        let lost = calls.sorted { $0.key < $1.key }
        calls = [:]
        for (_, call) in lost {
            filter.metadata.end(call.metadata, call.operation, .failed(.inputOutput), [])
            call.completion(.failed(.inputOutput), [])
        }
        whenIdle(done)
    }

    /// Nothing of this node is on its way to the LUN any more.
    private func whenIdle(_ done: @escaping () -> Void) {
        if flights.isEmpty {
            done()
        } else {
            host.after(.milliseconds(5)) { [self] in whenIdle(done) }
        }
    }

    func after(_ delay: UInt64, _ body: @escaping () -> Void) {
        host.after(delay) { [self] in
            if !isEnded { body() }
        }
    }

    // MARK: Session

    func openSession(
        _ epoch: Epoch, _ identity: NodeIdentity, _ completion: @escaping (Bool) -> Void
    ) {
        guard let target = simulation.nodes.first(where: { $0.name == identity.name }) else {
            completion(false)
            return
        }
        leave()
        linkGeneration += 1
        let generation = linkGeneration
        let me = host.identity
        var hasEnded = false
        func end(_ succeeded: Bool) {
            guard !hasEnded else { return }
            hasEnded = true
            completion(succeeded)
        }
        after(.milliseconds(500)) { end(false) }
        host.send(to: target) { [self] in
            guard let coordinator = target.coordinator, coordinator.epoch == epoch else { return }
            // The store says whose life it is, a part of the same rule: a message of an earlier one
            // may come late.
            guard
                simulation.store.attachments[me.name]?.incarnation == me.incarnation
                    || !simulation.rules.contains(.attachedBeforeLayout)
            else { return }
            coordinator.openSession(me)
            target.send(to: host) { [self] in
                guard !hasEnded, generation == linkGeneration else { return }
                self.epoch = epoch
                self.coordinator = target
                simulation.trace(host.name, "session with epoch \(epoch)")
                // The state machine goes on when the grace is over for this node, however long.
                end(true)
                reclaim { [self] in resumeCalls() }
            }
        }
    }

    // MARK: Calls

    func tell(
        _ operation: Operation, _ completion: @escaping (OperationResult, [Cell]) -> Void
    ) {
        begin(operation, [], Operation.noSlot, 0, isReclaim: true, completion)
    }

    func call(
        _ operation: Operation, cells: [Cell] = [], ghost: UInt64 = 0,
        _ completion: @escaping (OperationResult, [Cell]) -> Void
    ) {
        guard operation.needsSlot else {
            begin(operation, cells, Operation.noSlot, ghost, completion)
            return
        }
        guard let slot = freeSlots.popLast() else {
            waitingForSlot.append { [self] in
                call(operation, cells: cells, ghost: ghost, completion)
            }
            return
        }
        begin(operation, cells, slot, ghost) { [self] result, cells in
            freeSlots.append(slot)
            completion(result, cells)
            if !waitingForSlot.isEmpty, !freeSlots.isEmpty { waitingForSlot.removeFirst()() }
        }
    }

    private func begin(
        _ operation: Operation, _ cells: [Cell], _ slot: UInt16, _ ghost: UInt64,
        isReclaim: Bool = false, _ completion: @escaping (OperationResult, [Cell]) -> Void
    ) {
        lastSequence += 1
        calls[lastSequence] = Call(
            operation: operation, cells: cells, slot: slot, ghost: ghost,
            linkGeneration: linkGeneration, isReclaim: isReclaim,
            metadata: filter.metadata.begin(operation), completion: completion)
        send(lastSequence)
    }

    /// Sends a request, and again until it is answered: then by a new connection, so that the earlier
    /// copy, if it has not arrived, never will.
    private func send(_ sequence: UInt64) {
        guard let call = calls[sequence] else { return }
        if let coordinator, let epoch, isJoined || call.operation.belongsToGrace {
            let attempt = call.attempts + 1
            calls[sequence]?.attempts = attempt
            calls[sequence]?.linkGeneration = linkGeneration
            let message = RequestMessage(
                epoch: epoch, session: host.identity, sequence: sequence, slot: call.slot,
                operation: call.operation, cells: call.cells, ghost: call.ghost)
            host.send(to: coordinator) { [weak self] in
                // A repeated request comes by a new connection: the old one's copies are gone with it.
                if let self, message.epoch == self.epoch, calls[sequence]?.attempts != attempt {
                    return
                }
                coordinator.coordinator?.receive(message)
            }
        }
        let generation = linkGeneration
        after(.milliseconds(250)) { [self] in
            if generation == linkGeneration { send(sequence) }
        }
    }

    /// Everything that the last coordinator did not answer is asked of this one.
    func resumeCalls() {
        isJoined = true
        for sequence in calls.keys.sorted() { send(sequence) }
    }

    func receive(
        epoch: Epoch, incarnation: Incarnation, sequence: UInt64, _ result: OperationResult,
        _ grant: MetadataGrant, _ cells: [Cell]
    ) {
        guard
            (epoch == self.epoch && incarnation == host.identity.incarnation)
                || !rules.contains(.epochInEveryMessage),
            let call = calls.removeValue(forKey: sequence)
        else { return }
        filter.metadata.end(call.metadata, call.operation, result, grant)
        call.completion(result, cells)
    }

    func receive(
        _ question: CoordinatorAction, _ id: RecallID, epoch: Epoch,
        from coordinator: SimulatedCoordinator
    ) {
        guard
            (epoch == self.epoch && question.session == host.identity)
                || !rules.contains(.epochInEveryMessage)
        else { return }
        let target = coordinator.host
        func answer(_ report: WriteReport) {
            host.send(to: target) {
                target.coordinator?.answered(id, epoch: epoch, report)
            }
        }
        switch question {
        case .recall(_, _, let file, let range, let generation):
            recall(id, file, range, generation, answer)
        case .collectWrites(_, _, let file):
            answer(filter.collectWrites(file, nowNanoseconds: host.clock))
        case .recallMetadata(_, _, let file):
            filter.metadata.recall(file)
            answer(WriteReport())
        case .execute, .reply, .refuse:
            preconditionFailure("not a question")
        }
    }

    // MARK: Time

    func tick() {
        watchPath()
    }
}

extension PathTimings {
    /// Shorter than the daemon's, so that a run sees many ways back.
    static var simulated: PathTimings {
        var timings = PathTimings()
        timings.probeNanoseconds = .milliseconds(150)
        timings.probeMaximumNanoseconds = .milliseconds(1200)
        timings.steadyNanoseconds = .milliseconds(1000)
        timings.fenceRetryNanoseconds = .milliseconds(200)
        timings.drainNanoseconds = .milliseconds(800)
        return timings
    }
}

extension Operation {
    /// Sent before a session's other requests.
    var belongsToGrace: Bool {
        switch self {
        case .open, .reclaimLayout, .reclaimLock, .reclaimed: true
        default: false
        }
    }
}
