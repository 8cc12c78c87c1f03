import VolumeModel

/// How an I/O ended for whoever asked for it.
enum LUNStatus: Hashable {
    case done
    /// The path failed; whether the target has the I/O is not known.
    case pathFailed
    /// The reservation refuses this path's key: nothing landed.
    case conflict
}

/// One node's way to the LUN.
struct LUNPath {
    enum Fault { case none, failing, hanging }
    var fault = Fault.none
    /// The key registered through it; 0: none.
    var key: UInt64 = 0
}

/// The shared LUN: blocks whose cells tell which write filled them, the durable metadata of the file
/// system on it, paths with faults, persistent reservations (Exclusive Access, All Registrants), and
/// I/O in flight, which lands when it lands, or never.
final class ModelLUN {
    enum Payload {
        case data(fileBlocks: [(block: Int, cells: [Cell])])
        case read(blocks: [Int])
        case metadata(FileSystemState, Epoch)
    }

    struct Flight {
        var node: Int
        var key: UInt64
        var payload: Payload
        /// What the check needs to know of a direct write.
        var direct: DirectWrite?
        var isHeld = false
        /// Nobody waits for it; it lands when its delay is over, and no sooner.
        var isLate = false
        var completion: ((LUNStatus, [Cell]) -> Void)?
    }

    /// A direct write's claim: these blocks of this file.
    struct DirectWrite {
        var file: FileHandle
        var firstFileBlock: Int
    }

    static let blockCount = 256

    unowned let simulation: Simulation
    private(set) var cells = [Cell](repeating: 0, count: ModelLUN.blockCount * Cells.perBlock)
    /// What a mount finds after it has replayed the journal.
    var metadata = FileSystemState(blocks: ModelLUN.blockCount)
    /// The newest epoch that has mounted.
    var mountedEpoch = Epoch(0)
    var paths: [LUNPath]
    /// Registered keys count only with the reservation.
    var isReserved: Bool
    private(set) var keys: Set<UInt64> = []
    private var flights: [UInt64: Flight] = [:]
    private var lastFlight: UInt64 = 0

    init(simulation: Simulation, nodes: Int, isReserved: Bool) {
        self.simulation = simulation
        self.isReserved = isReserved
        paths = Array(repeating: LUNPath(), count: nodes)
    }

    // MARK: Reservations

    func register(_ key: UInt64, node: Int) -> Bool {
        guard paths[node].fault == .none else { return false }
        keys.remove(paths[node].key)
        paths[node].key = key
        keys.insert(key)
        simulation.trace("lun", "node\(node + 1) registers key \(key)")
        return true
    }

    /// PREEMPT AND ABORT through another node's path: the key goes, and with it what is in flight.
    func preempt(_ key: UInt64, through node: Int) -> Bool {
        guard paths[node].fault == .none, isRegistered(node) else { return false }
        keys.remove(key)
        let victims = paths.indices.filter { paths[$0].key == key }
        abortFlights { victims.contains($0.node) }
        simulation.trace("lun", "node\(node + 1) preempts key \(key) and aborts its I/O")
        return true
    }

    /// The end of everything in flight of a kind: it never lands.
    func abortFlights(where isAborted: (Flight) -> Bool) {
        for (id, flight) in flights.sorted(by: { $0.key < $1.key }) where isAborted(flight) {
            flights[id] = nil
            if let completion = flight.completion { completion(.conflict, []) }
        }
    }

    /// The reservation looks at the path, not at what was registered when an I/O was sent.
    func isRegistered(_ node: Int) -> Bool { !isReserved || keys.contains(paths[node].key) }

    /// A commit of a mount of this node that may still land.
    func hasMetadataFlights(of node: Int) -> Bool {
        flights.values.contains {
            if case .metadata = $0.payload { $0.node == node } else { false }
        }
    }

    /// Anything that this node sent and that may still land.
    func hasFlights(of node: Int) -> Bool { flights.values.contains { $0.node == node } }

    // MARK: I/O

    /// Sends an I/O on its way. The completion comes as an event of nobody's: the caller looks whether
    /// it still lives.
    func submit(
        node: Int, _ payload: Payload, direct: DirectWrite? = nil,
        completion: @escaping (LUNStatus, [Cell]) -> Void
    ) {
        lastFlight += 1
        let id = lastFlight
        let path = paths[node]
        flights[id] = Flight(
            node: node, key: path.key, payload: payload, direct: direct, completion: completion)
        switch path.fault {
        case .none:
            let delay = simulation.scenario.lunDelay(&simulation.random)
            simulation.after(delay) { [unowned self] in land(id) }
        case .failing:
            fail(id, mayHaveArrived: simulation.random.chance(0.2))
        case .hanging:
            hold(id)
        }
    }

    /// Without reservations the queues of writes are bounded (DESIGN, section 5): one that hangs ends
    /// by itself. A read may be repeated below us for as long as it takes.
    private func hold(_ id: UInt64) {
        flights[id]?.isHeld = true
        if case .read? = flights[id]?.payload { return }
        guard !isReserved else { return }
        simulation.after(simulation.scenario.lateMaximum) { [unowned self] in
            guard let flight = flights[id], flight.isHeld else { return }
            flights[id] = nil
            flight.completion?(.pathFailed, [])
        }
    }

    /// A path's fault changes; what is in flight feels it.
    func setFault(_ fault: LUNPath.Fault, node: Int) {
        let before = paths[node].fault
        paths[node].fault = fault
        simulation.trace("lun", "path of node\(node + 1): \(fault)")
        for (id, flight) in flights.sorted(by: { $0.key < $1.key }) where flight.node == node {
            switch fault {
            case .none where before == .hanging && flight.isHeld && flight.completion != nil:
                flights[id]?.isHeld = false
                let delay = simulation.scenario.lunDelay(&simulation.random)
                simulation.after(delay) { [unowned self] in land(id) }
            case .failing where flight.completion != nil:
                fail(id, mayHaveArrived: simulation.random.chance(0.5))
            case .hanging where simulation.random.chance(0.7):
                hold(id)
            default:
                break
            }
        }
    }

    /// Nobody waits for this node's I/O any more; what has arrived may still land, or never does.
    func hostLost(node: Int) {
        for (id, flight) in flights.sorted(by: { $0.key < $1.key }) where flight.node == node {
            flights[id]?.completion = nil
            if simulation.random.chance(0.5) {
                flights[id] = nil
            } else {
                delayOrphan(id)
            }
        }
    }

    /// The daemon is gone, the kernel is not: its I/O lands, some of it much later, and nobody hears
    /// of it.
    func daemonLost(node: Int) {
        for (id, flight) in flights.sorted(by: { $0.key < $1.key }) where flight.node == node {
            flights[id]?.completion = nil
            guard flight.isHeld || simulation.random.chance(0.5) else { continue }
            delayOrphan(id)
        }
    }

    /// What nobody waits for lands much later.
    private func delayOrphan(_ id: UInt64) {
        flights[id]?.isLate = true
        let delay = simulation.random.within(.milliseconds(1)...simulation.scenario.lateMaximum)
        simulation.after(delay) { [unowned self] in
            flights[id]?.isLate = false
            land(id)
        }
    }

    private func fail(_ id: UInt64, mayHaveArrived: Bool) {
        guard let completion = flights[id]?.completion else { return }
        flights[id]?.completion = nil
        if mayHaveArrived {
            // The initiator has given up; the target has not.
            delayOrphan(id)
        } else {
            flights[id] = nil
        }
        simulation.after(.microseconds(200)) { completion(.pathFailed, []) }
    }

    private func land(_ id: UInt64) {
        guard let flight = flights[id] else { return }
        if flight.isLate || (flight.isHeld && flight.completion != nil) { return }
        flights[id] = nil
        guard isRegistered(flight.node) else {
            simulation.trace("lun", "I/O of node\(flight.node + 1) meets the reservation")
            flight.completion?(.conflict, [])
            return
        }
        var found: [Cell] = []
        switch flight.payload {
        case .data(let blocks):
            if let direct = flight.direct {
                simulation.trace(
                    "lun",
                    "node\(flight.node + 1) writes \(direct.file) from block "
                        + "\(direct.firstFileBlock) to LUN blocks \(blocks.map(\.block))")
                simulation.checkDirect(flight.node, direct, blocks.map(\.block))
            }
            for (block, cells) in blocks { store(block, cells) }
        case .read(let blocks):
            found = blocks.flatMap(load)
            simulation.trace("lun", "node\(flight.node + 1) reads LUN blocks \(blocks)")
        case .metadata(let state, let epoch):
            simulation.checkCoordinator(epoch, "writes metadata")
            // Transactions of one mount land in their order.
            if state.version > metadata.version || epoch < mountedEpoch { metadata = state }
        }
        guard let completion = flight.completion else {
            simulation.trace("lun", "an I/O of node\(flight.node + 1) lands late")
            return
        }
        let delay = simulation.random.within(.microseconds(5) ... .microseconds(60))
        simulation.after(delay) { completion(.done, found) }
    }

    func store(_ block: Int, _ content: [Cell]) {
        for index in 0..<Cells.perBlock { cells[block * Cells.perBlock + index] = content[index] }
    }

    func load(_ block: Int) -> [Cell] {
        Array(cells[block * Cells.perBlock..<(block + 1) * Cells.perBlock])
    }

    func removeAll() { flights.removeAll() }
}
