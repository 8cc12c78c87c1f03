import VolumeModel

/// A node, as the scheduler sees it.
public struct MachineNode: Hashable, Sendable {
    public var isMember: Bool
    public var isDraining: Bool
    /// For guests.
    public var memoryBytes: UInt64
    /// How many threads run or wait for a processor, on each of its processors.
    public var load: Double
    /// The volumes that it may write to, as far as anybody has proven.
    public var attachments: Set<String>

    public init(
        isMember: Bool, isDraining: Bool = false, memoryBytes: UInt64, load: Double = 0,
        attachments: Set<String> = []
    ) {
        self.isMember = isMember
        self.isDraining = isDraining
        self.memoryBytes = memoryBytes
        self.load = load
        self.attachments = attachments
    }
}

/// What one of the nodes is to put into the store, if nothing has changed meanwhile.
public enum MachineDecision: Hashable, Sendable {
    /// Make a node the owner, which starts the machine.
    case place(String, on: String)
    case migrate(String, to: String, isQuick: Bool)
    /// Its target is gone: it stays where it is.
    case cancel(String)
    /// Nobody is left to end it.
    case off(String)
    case fail(String, reason: String)

    public var machine: String {
        switch self {
        case .place(let name, _), .migrate(let name, _, _), .cancel(let name), .off(let name),
            .fail(let name, _):
            name
        }
    }
}

/// Places machines and moves them: a function of the records alone, so that every node comes to the
/// same and may be the one that writes it.
public struct MachineScheduler: Sendable {
    public struct Limits: Hashable, Sendable {
        public var startsPerNode = 2
        public var migrationsPerNode = 1
        /// So many ends on one node within the window send a machine elsewhere; so many in all end it.
        public var failuresPerNode = 3
        public var failuresInAll = 6
        public var failureWindowSeconds: Double = 600

        public init() {}
    }

    public var nodes: [String: MachineNode]
    public var machines: [String: MachineRecord]
    public var nowSeconds: Double
    let limits: Limits
    let rules: SafetyRules

    public init(
        nodes: [String: MachineNode], machines: [String: MachineRecord], nowSeconds: Double,
        limits: Limits = Limits(), rules: SafetyRules = .all
    ) {
        self.nodes = nodes
        self.machines = machines
        self.nowSeconds = nowSeconds
        self.limits = limits
        self.rules = rules
    }

    /// What is to be done now, in order.
    public func decisions() -> [MachineDecision] {
        var plan = self
        var decisions: [MachineDecision] = []
        for machine in inOrder where plan.needsPlace(machine) {
            if let decision = plan.decision(for: machine) {
                decisions.append(decision)
                plan.apply(decision)
            }
        }
        for machine in inOrder where hasLostTarget(machine) {
            decisions.append(.cancel(machine.name))
        }
        for machine in inOrder where machine.phase == .running {
            if let decision = plan.move(of: machine) {
                decisions.append(decision)
                plan.apply(decision)
            }
        }
        return decisions
    }

    /// High priority first, then by name.
    private var inOrder: [MachineRecord] {
        machines.values.sorted {
            $0.demand.priority != $1.demand.priority
                ? $0.demand.priority > $1.demand.priority : $0.name < $1.name
        }
    }

    /// Its owner is gone, and cannot write to its volume any more (rule fence-before-forget).
    public func isLost(_ machine: MachineRecord) -> Bool {
        guard let owner = machine.owner else { return false }
        guard let node = nodes[owner] else { return true }
        let isFenced = !node.attachments.contains(machine.volume)
        return !node.isMember && (isFenced || !rules.contains(.machineOnce))
    }

    private func needsPlace(_ machine: MachineRecord) -> Bool {
        machine.phase == .waiting || (machine.isOn && isLost(machine))
    }

    private func hasLostTarget(_ machine: MachineRecord) -> Bool {
        guard machine.phase == .migrating, !machine.isCancelled, !isLost(machine),
            let target = machine.target
        else { return false }
        return nodes[target]?.isMember != true
    }

    private func decision(for machine: MachineRecord) -> MachineDecision? {
        if machine.phase == .stopping { return .off(machine.name) }
        let recent = recentFailures(machine)
        if recent.count >= limits.failuresInAll {
            return .fail(
                machine.name,
                reason: "it ended \(recent.count) times: \(machine.reason ?? "unknown")")
        }
        let place = try? place(for: machine, mayStart: true)
        return place.map { .place(machine.name, on: $0) }
    }

    private func recentFailures(_ machine: MachineRecord) -> [MachineRecord.Failure] {
        machine.failures.filter { $0.timeSeconds > nowSeconds - limits.failureWindowSeconds }
    }

    private func move(of machine: MachineRecord) -> MachineDecision? {
        guard let owner = machine.owner, !machine.isPaused else { return nil }
        let target: String
        if nodes[owner]?.isDraining == true {
            guard let place = try? place(for: machine) else { return nil }
            target = place
        } else if machine.isReturning, let home = machine.home, home != owner,
            (try? check(home, for: machine)) != nil
        {
            target = home
        } else {
            return nil
        }
        guard moves(of: owner) < limits.migrationsPerNode,
            moves(of: target) < limits.migrationsPerNode
        else { return nil }
        return .migrate(
            machine.name, to: target, isQuick: machine.demand.priority == .low)
    }

    private func moves(of node: String) -> Int {
        machines.values.count {
            ($0.phase == .migrating || $0.phase == .saving)
                && ($0.owner == node || $0.target == node)
        }
    }

    // MARK: Places

    /// The best node for a machine that is not on it.
    ///
    /// - Parameter mayStart: nodes that start as many as they may are left out.
    /// - Throws: why there is none.
    public func place(
        for machine: MachineRecord, mayStart: Bool = false
    ) throws(MachineRefusal) -> String {
        if let wanted = machine.target, machine.phase == .waiting {
            try check(wanted, for: machine)
            return wanted
        }
        var refusals: [String] = []
        var candidates: [(name: String, rank: Rank)] = []
        for name in nodes.keys.sorted() where name != machine.owner || isLost(machine) {
            do throws(MachineRefusal) {
                try check(name, for: machine)
                if mayStart, starts(on: name) >= limits.startsPerNode { continue }
                candidates.append((name, rank(name, machine)))
            } catch { refusals.append("\(error)") }
        }
        guard let best = candidates.min(by: { $0.rank < $1.rank }) else {
            throw MachineRefusal(
                refusals.isEmpty ? "there is no other node" : refusals.joined(separator: "; "))
        }
        return best.name
    }

    /// Throws why a node cannot have a machine.
    public func check(_ name: String, for machine: MachineRecord) throws(MachineRefusal) {
        guard let node = nodes[name] else { throw MachineRefusal("there is no node \(name)") }
        guard node.isMember else { throw MachineRefusal("\(name) is down") }
        guard !node.isDraining else { throw MachineRefusal("\(name) is being drained") }
        let possible = machine.demand.possibleOwners
        guard possible.isEmpty || possible.contains(name) else {
            throw MachineRefusal("\(name) is no possible owner")
        }
        guard node.attachments.contains(machine.volume) else {
            throw MachineRefusal("\(name) does not serve the volume")
        }
        guard freeBytes(on: name, without: machine) >= machine.demand.memoryBytes else {
            throw MachineRefusal("\(name) has too little free memory")
        }
    }

    /// Smaller is better.
    private struct Rank: Comparable {
        /// It has just failed there.
        var failures: Int
        var conflicts: Int
        var preference: Int
        /// Of its memory for guests, in tenths: what differs by less is decided by the load.
        var usedTenths: Int
        var load: Double
        var usedShare: Double
        var name: String

        static func < (left: Rank, right: Rank) -> Bool {
            let one = (left.failures, left.conflicts, left.preference, left.usedTenths)
            let other = (right.failures, right.conflicts, right.preference, right.usedTenths)
            if one != other { return one < other }
            return (left.load, left.usedShare, left.name) < (
                right.load, right.usedShare, right.name
            )
        }
    }

    private func rank(_ name: String, _ machine: MachineRecord) -> Rank {
        let failures = recentFailures(machine)
        let here = failures.count { $0.node == name }
        // It is started again where it was, until it has ended there too often.
        let isLast = failures.last?.node == name && here < limits.failuresPerNode
        let group = machine.demand.antiAffinityGroup
        let conflicts =
            group == nil
            ? 0
            : machines.values.count {
                $0.name != machine.name && $0.demand.antiAffinityGroup == group
                    && ($0.owner == name || $0.target == name)
            }
        let capacity = max(1, nodes[name]?.memoryBytes ?? 1)
        let used = Double(capacity) - Double(freeBytes(on: name, without: machine))
        let share = used / Double(capacity)
        return Rank(
            failures: isLast ? -1 : here / limits.failuresPerNode, conflicts: conflicts,
            preference: machine.demand.preferredOwners.firstIndex(of: name) ?? Int.max,
            usedTenths: Int(share * 10), load: nodes[name]?.load ?? 0, usedShare: share, name: name)
    }

    private func starts(on node: String) -> Int {
        machines.values.count { $0.phase == .starting && $0.owner == node }
    }

    private func freeBytes(on node: String, without machine: MachineRecord) -> UInt64 {
        let used = machines.values.reduce(UInt64(0)) { sum, other in
            let isThere = other.owner == node || (other.isOn && other.target == node)
            return isThere && other.name != machine.name ? sum + other.demand.memoryBytes : sum
        }
        let capacity = nodes[node]?.memoryBytes ?? 0
        return used < capacity ? capacity - used : 0
    }

    private mutating func apply(_ decision: MachineDecision) {
        guard var record = machines[decision.machine] else { return }
        decision.apply(to: &record)
        machines[decision.machine] = record
    }
}

extension MachineDecision {
    /// What the decision makes of the machine's record.
    public func apply(to record: inout MachineRecord) {
        switch self {
        case .place(_, let node): record.assign(to: node)
        case .migrate(_, let node, let isQuick):
            if record.home == nil { record.home = record.owner }
            if isQuick {
                try? record.save(for: node)
            } else {
                try? record.migrate(to: node)
            }
        case .cancel: try? record.cancelMigration()
        case .off: record.off(.stopped)
        case .fail(_, let reason):
            // A state that could not be gone on from is kept: its operator decides.
            record.off(record.isRestoring ? .saved : .failed)
            record.reason = reason
        }
    }
}
