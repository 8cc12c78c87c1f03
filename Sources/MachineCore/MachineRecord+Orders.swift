/// Why an order to a machine makes no sense now, in words.
public struct MachineRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// What an operator, and the scheduler, ask for: each is the record's next state.
extension MachineRecord {
    /// - Parameter node: where; nil: the scheduler chooses.
    public mutating func start(on node: String? = nil) throws(MachineRefusal) {
        switch phase {
        case .stopped, .failed, .saved:
            isRestoring = phase == .saved
            phase = .waiting
            target = node
            reason = nil
            failures = []
            isPaused = false
        case .waiting, .starting, .running, .migrating, .saving:
            throw MachineRefusal("\(name) is on already")
        case .stopping: throw MachineRefusal("\(name) is being stopped; try again when it is off")
        }
    }

    public mutating func stop(_ how: Stop) throws(MachineRefusal) {
        switch phase {
        // Of a failed one the operator has taken note.
        case .waiting, .failed: off(.stopped)
        case .starting, .running:
            phase = .stopping
            stop = how
        case .stopping where how == .powerOff: stop = how
        case .stopping: break
        case .migrating, .saving:
            throw MachineRefusal("\(name) is being moved; cancel that first, or wait")
        case .stopped, .saved: throw MachineRefusal("\(name) is off")
        }
    }

    /// Begins a live migration.
    public mutating func migrate(to node: String) throws(MachineRefusal) {
        try demandRunning("migrated")
        guard owner != node else { throw MachineRefusal("\(name) runs on \(node) already") }
        guard !isPaused else { throw MachineRefusal("\(name) is paused; resume it first") }
        phase = .migrating
        migration += 1
        target = node
        arrival = nil
        isCancelled = false
        reason = nil
    }

    public mutating func cancelMigration() throws(MachineRefusal) {
        guard phase == .migrating else { throw MachineRefusal("\(name) is not being migrated") }
        isCancelled = true
    }

    /// Saves the state, to go on from it on another node or later.
    public mutating func save(for node: String? = nil) throws(MachineRefusal) {
        try demandRunning("saved")
        guard node == nil || owner != node else {
            throw MachineRefusal("\(name) runs on \(node ?? "") already")
        }
        phase = .saving
        target = node
        reason = nil
    }

    public mutating func pause(_ wanted: Bool) throws(MachineRefusal) {
        try demandRunning(wanted ? "paused" : "resumed")
        isPaused = wanted
    }

    private func demandRunning(_ what: String) throws(MachineRefusal) {
        guard phase == .running else {
            throw MachineRefusal("\(name) cannot be \(what) while it is \(phase.rawValue)")
        }
    }

    // MARK: The next states

    /// Another node, or the same, is to start it.
    public mutating func assign(to node: String) {
        phase = .starting
        owner = node
        epoch += 1
        handedOver = nil
        target = nil
        arrival = nil
        isCancelled = false
    }

    /// Its copy is gone, unasked.
    public mutating func fail(on node: String, timeSeconds: Double, reason: String) {
        failures.append(Failure(node: node, timeSeconds: timeSeconds))
        if failures.count > Self.failuresKept { failures.removeFirst() }
        self.reason = reason
        if phase == .stopping {
            off(.stopped)
        } else {
            phase = .waiting
            owner = nil
            target = nil
            arrival = nil
        }
    }

    static let failuresKept = 16

    public mutating func off(_ phase: Phase) {
        self.phase = phase
        owner = nil
        target = nil
        arrival = nil
        stop = nil
        isCancelled = false
        isPaused = false
        isReturning = false
        home = nil
        if phase == .stopped { isRestoring = false }
    }

    /// The owner, under this epoch, runs it.
    mutating func run(on node: String, epoch: UInt64) {
        phase = .running
        owner = node
        self.epoch = epoch
        handedOver = nil
        target = nil
        arrival = nil
        isCancelled = false
        isRestoring = false
        if home == node {
            home = nil
            isReturning = false
        }
    }
}
