import CoordinatorCore
import VolumeModel
import VolumeProtocol

/// A request on its way from a node to a coordinator.
struct RequestMessage {
    var epoch: Epoch
    var session: NodeIdentity
    var sequence: UInt64
    var slot: UInt16
    var operation: Operation
    var cells: [Cell] = []
    /// The workload's own number of what is asked for, for the checks.
    var ghost: UInt64
}

/// The shell around ``CoordinatorCore``, as `CoordinatorService` is in the daemon: it runs commands on
/// the mount, holds results back until they are durable, and carries recalls.
final class SimulatedCoordinator {
    struct RequestKey: Hashable {
        var session: NodeIdentity
        var sequence: UInt64
    }

    struct Waiting {
        var message: RequestMessage
        var cells: [Cell] = []
    }

    unowned let host: SimulatedHost
    let epoch: Epoch
    let mount: ModelMount
    var core: CoordinatorCore
    private(set) var isOver = false
    var sessions: [String: NodeIdentity] = [:]
    var waiting: [RequestKey: Waiting] = [:]
    /// A fault that waits for a change that is not durable.
    var strikeAtChange: (() -> Void)?
    /// What a planned end waits for.
    var onIdle: (() -> Void)?

    // Group commit: what waits for the journal.
    var durableWaiters: [(version: UInt64, body: (Bool) -> Void)] = []
    var isFlushing = false
    /// Files of which it is known whether they share blocks, told once per file.
    var sharing: [FileHandle: Bool] = [:]
    private var lastQuestion: UInt64 = 0
    /// Recalls and collections that are not answered yet.
    var questions: [RecallID: CoordinatorAction] = [:]

    var simulation: Simulation { host.simulation }
    var rules: SafetyRules { host.simulation.rules }
    var place: String { "coord/\(epoch)" }

    /// Nil: the LUN cannot be mounted through this path.
    init?(host: SimulatedHost, epoch: Epoch) {
        let simulation = host.simulation
        guard simulation.lun.paths[host.index].fault == .none,
            simulation.lun.isRegistered(host.index)
        else { return nil }
        self.host = host
        self.epoch = epoch
        // Rule fresh-mount: a device that others have had keeps metadata of earlier mounts.
        let isFresh = simulation.rules.contains(.freshMount)
        let state = isFresh ? nil : host.deviceCache
        simulation.lun.mountedEpoch = max(simulation.lun.mountedEpoch, epoch)
        mount = ModelMount(
            lun: simulation.lun, node: host.index, epoch: epoch,
            state: state ?? simulation.lun.metadata)
        core = CoordinatorCore(rules: simulation.rules)
        simulation.counts.mounts += 1
        simulation.trace(place, "mounts on \(host.name), version \(mount.state.version)")
        if simulation.lun.mountedEpoch == epoch {
            simulation.mount = mount
            simulation.oracle.mounted(mount.state)
        }
    }

    func start(attached: [String]) {
        takeOver(attached: attached)
        writeBackLater()
        disturbLater()
    }

    // MARK: Events

    func handle(_ event: CoordinatorEvent) {
        guard !isOver else { return }
        var actions: [CoordinatorAction] = []
        core.handle(event, into: &actions)
        for action in actions { perform(action) }
    }

    private func perform(_ action: CoordinatorAction) {
        switch action {
        case .execute(let task, let command):
            host.after(commandDelay()) { [self] in run(command, of: task) }
        case .reply(let session, let sequence, let result, let grant):
            reply(session, sequence, result, grant)
        case .refuse(let session, let sequence, let refusal):
            refuse(session, sequence, refusal)
        case .recall(let id, let session, let file, let range, let generation):
            simulation.counts.recalls += 1
            simulation.trace(
                place, "recalls \(file) \(range) of \(session), generation \(generation)")
            questions[id] = action
            ask(id)
        case .collectWrites(let id, _, _):
            questions[id] = action
            ask(id)
        case .recallMetadata(let id, let session, let file):
            simulation.counts.metadataRecalls += 1
            simulation.trace(place, "recalls metadata of \(file) of \(session)")
            questions[id] = action
            ask(id)
        }
    }

    func commandDelay() -> UInt64 {
        simulation.random.within(.microseconds(20) ... .microseconds(800))
    }

    // MARK: Requests

    /// Opens a session for a node's life; one of an earlier life ends with it.
    func openSession(_ session: NodeIdentity) {
        guard !isOver else { return }
        if let old = sessions[session.name], old != session { endSession(old) }
        sessions[session.name] = session
        handle(.sessionOpened(session))
    }

    /// The fence of a node is proven.
    func forget(_ node: NodeIdentity) {
        guard !isOver, sessions[node.name].map({ $0 == node }) ?? true else { return }
        simulation.trace(place, "forgets \(node)")
        sessions[node.name] = nil
        handle(.nodeForgotten(node.name))
        release(node)
    }

    private func endSession(_ session: NodeIdentity) {
        sessions[session.name] = nil
        handle(.sessionEnded(session))
        release(session)
    }

    private func release(_ session: NodeIdentity) {
        for key in waiting.keys.filter({ $0.session == session }) { waiting[key] = nil }
        for (id, question) in questions where question.session == session { questions[id] = nil }
    }

    func receive(_ original: RequestMessage) {
        var message = original
        guard !isOver else { return }
        if rules.contains(.epochInEveryMessage) {
            guard message.epoch == epoch, sessions[message.session.name] == message.session else {
                return
            }
        } else if let session = sessions[message.session.name] {
            // The broken rule takes it for a message of this epoch and this life.
            message.session = session
        }
        guard core.hasSession(message.session) else { return }
        let key = RequestKey(session: message.session, sequence: message.sequence)
        guard waiting[key] == nil else { return }
        waiting[key] = Waiting(message: message)
        simulation.trace(place, "\(message.session) #\(message.sequence): \(message.operation)")
        handle(
            .request(
                message.session, sequence: message.sequence, slot: message.slot,
                message.operation, payloadBytes: message.cells.count * Int(Cells.bytes)))
    }

    private func reply(
        _ session: NodeIdentity, _ sequence: UInt64, _ result: OperationResult,
        _ grant: MetadataGrant
    ) {
        let key = RequestKey(session: session, sequence: sequence)
        guard let entry = waiting.removeValue(forKey: key) else { return }
        guard let node = simulation.nodes.first(where: { $0.name == session.name }) else { return }
        simulation.trace(place, "\(session) #\(sequence) gets \(brief(result))\(grant.brief)")
        host.send(to: node) { [epoch] in
            node.client.receive(
                epoch: epoch, incarnation: session.incarnation, sequence: sequence, result,
                grant, entry.cells)
        }
    }

    /// Nothing was done: the node asks again by itself.
    private func refuse(_ session: NodeIdentity, _ sequence: UInt64, _ refusal: Refusal) {
        waiting[RequestKey(session: session, sequence: sequence)] = nil
        simulation.trace(place, "\(session) #\(sequence) is refused: \(refusal)")
    }

    // MARK: End

    /// Goes silent; what is not durable is lost, or not.
    func crash() {
        guard !isOver else { return }
        isOver = true
        mount.crash()
        leaveCache()
        finish()
    }

    /// Ends in order: what is under way ends, everything becomes durable, the mount goes.
    func stop(_ completion: @escaping (Bool) -> Void) {
        var hasEnded = false
        func end(_ isClean: Bool) {
            guard !hasEnded, !isOver else { return }
            hasEnded = true
            isOver = true
            if isClean { mount.unmounted() } else { mount.crash() }
            leaveCache()
            finish()
            completion(isClean)
        }
        handle(.draining)
        func unmount(_ isDurable: Bool) {
            guard !isOver else { return }
            // What the kernel has sent by itself ends before the unmount does.
            if simulation.lun.hasMetadataFlights(of: host.index) {
                host.after(.milliseconds(1)) { unmount(isDurable) }
                return
            }
            end(isDurable && mount.state.version == simulation.lun.metadata.version)
        }
        onIdle = { [self] in
            mount.flush { [self] isDurable in
                host.after(0) { unmount(isDurable) }
            }
        }
        host.after(0) { [self] in lookForIdle() }
        host.after(.milliseconds(500)) { end(false) }
    }

    /// Goes on with the end once nothing is under way.
    func lookForIdle() {
        guard let onIdle, core.isIdle, !isFlushing else { return }
        self.onIdle = nil
        onIdle()
    }

    private func finish() {
        if simulation.mount === mount { simulation.mount = nil }
        onIdle = nil
        waiting = [:]
        questions = [:]
        durableWaiters = []
    }

    func tearDown() {
        isOver = true
        finish()
    }

    /// Without rule fresh-mount: the device stays, with pages that others never see, and old metadata
    /// is written back long after the unmount (both were seen with ext4).
    private func leaveCache() {
        guard !rules.contains(.freshMount) else { return }
        let left = mount.state
        host.deviceCache = left
        let (lun, epoch, index) = (mount.lun, epoch, host.index)
        simulation.after(simulation.random.within(.milliseconds(100) ... .milliseconds(3000))) {
            [unowned lun] in
            guard lun.paths[index].fault == .none, lun.isRegistered(index) else { return }
            lun.simulation.checkCoordinator(epoch, "writes old metadata from the device's cache")
            lun.metadata = left
        }
    }

    /// A result as a trace shows it.
    func brief(_ result: OperationResult) -> String {
        switch result {
        case .layout(let grant): "layout \(grant.range) generation \(grant.generation)"
        case .growth(let grant): "growth \(grant.range) generation \(grant.generation)"
        case .entry(let entry): "entry \(entry.handle)"
        case .attributes(let attributes): "size \(attributes.sizeBytes)"
        default: "\(result)"
        }
    }
}

extension CoordinatorAction {
    /// Whom a recall or a collection asks.
    var session: NodeIdentity? {
        switch self {
        case .recall(_, let session, _, _, _), .collectWrites(_, let session, _),
            .recallMetadata(_, let session, _):
            session
        case .execute, .reply, .refuse: nil
        }
    }
}

extension MetadataGrant {
    /// As a trace shows it.
    fileprivate var brief: String {
        (contains(.attributes) ? ", may keep attributes" : "")
            + (contains(.names) ? ", may keep the name" : "")
    }
}
