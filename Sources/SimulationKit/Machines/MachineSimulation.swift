import MachineCore
import VolumeModel

/// Virtual machines on three nodes, driven by the daemon's own ``MachineHost`` and
/// ``MachineScheduler``, with failures: power, daemons and hosts that stop, partitions, slow and lost
/// answers of the store, migrations that break at any point, also after all has arrived.
///
/// It checks rule machine-once, that two copies which can write to the volume never run at once, and at
/// the end of the faults that every machine that is to run does.
final class MachineSimulation {
    static let length: UInt64 = .seconds(240)
    /// From then on nothing fails any more.
    static let calm: UInt64 = .seconds(150)
    static let leaseLength: UInt64 = .seconds(10)

    let rules: SafetyRules
    let isTracing: Bool
    var random: SimulationRandom
    var queue = EventQueue()
    var now: UInt64 = 0
    var violation: Violation?
    var trace: [TraceLine] = []
    var eventCount = 0
    let store = MachineStore()
    private var fencing: Set<String> = []
    private(set) var nodes: [MachineNodeModel] = []
    let machineNames = ["alpha", "beta", "gamma", "delta"]

    init(seed: UInt64, rules: SafetyRules, isTracing: Bool) {
        self.rules = rules
        self.isTracing = isTracing
        // Neighbouring seeds are the same numbers, one draw apart: far from each other they are not.
        random = SimulationRandom(seed: (seed &+ 1) &* 0xd1b5_4a32_d192_ed03)
        nodes = (0..<3).map { MachineNodeModel(name: "node\($0 + 1)", simulation: self) }
        for (number, name) in machineNames.enumerated() {
            var record = MachineRecord(
                name: name, volume: "v",
                demand: MachineDemand(
                    memoryBytes: 1 << 30, priority: number == 0 ? .high : .medium,
                    antiAffinityGroup: number < 2 ? "pair" : nil))
            if number == 3 { record.demand.priority = .low }
            store.records[name] = MachineStore.Entry(record: record, revision: 1)
        }
    }

    func after(_ delay: UInt64, _ body: @escaping () -> Void) { queue.add(at: now + delay, body) }

    func note(_ place: String, _ text: @autoclosure () -> String) {
        guard isTracing else { return }
        trace.append(TraceLine(timeNanoseconds: now, place: place, text: text()))
    }

    func run() {
        for node in nodes { node.start() }
        operate()
        strike()
        lookAfterLeases()
        while violation == nil, let next = queue.next(), next.time < Self.length {
            now = next.time
            eventCount += 1
            next.body()
        }
        if violation == nil { checkEnd() }
        queue.removeAll()
    }

    // MARK: Checks

    /// Whenever something begins to run.
    func check(_ machine: String) {
        let running = nodes.filter { $0.runs(machine) }.map(\.name)
        guard running.count > 1, violation == nil else { return }
        violation = Violation(
            check: "a machine runs at most once",
            details: "\(machine) runs on \(running.joined(separator: " and "))",
            timeNanoseconds: now)
    }

    /// Its disk is of a later time than its memory.
    func reportStale(_ machine: String, on node: String) {
        violation =
            violation
            ?? Violation(
                check: "a machine runs with its newest state",
                details: "\(machine) runs on \(node) from a migration that had failed",
                timeNanoseconds: now)
    }

    private func checkEnd() {
        for name in machineNames {
            guard let record = store.records[name]?.record, record.isOn else { continue }
            let running = nodes.filter { $0.runs(name) }.map(\.name)
            guard record.phase == .running,
                running == [record.owner ?? ""] || (record.isPaused && running.isEmpty)
            else {
                violation = Violation(
                    check: "a machine that is to run does",
                    details:
                        "\(name) is \(record.phase.rawValue) on \(record.owner ?? "no node"), and "
                        + "runs on \(running)", timeNanoseconds: now)
                return
            }
        }
    }

    // MARK: Operators and faults

    private func operate() {
        after(random.within(.milliseconds(200) ... .milliseconds(4000))) { [self] in
            guard now < Self.calm else { return store.draining.removeAll() }
            order()
            operate()
        }
    }

    private func order() {
        let name = random.pick(machineNames)
        guard var record = store.records[name]?.record else { return }
        let node = random.pick(nodes).name
        let choice = random.below(20)
        switch choice {
        case 0..<5: try? record.start(on: random.chance(0.3) ? node : nil)
        case 5..<11: if store.isMember(node) { try? record.migrate(to: node) }
        case 11: try? record.cancelMigration()
        case 12: try? record.stop(random.chance(0.5) ? .shutdown : .powerOff)
        case 13, 14: if store.isMember(node) { try? record.save(for: node) }
        case 15: try? record.save()
        case 16: try? record.pause(!record.isPaused)
        case 17: store.draining.insert(node)
        default: store.draining.removeAll()
        }
        guard record != store.records[name]?.record else { return }
        note("operator", "\(name): \(record.phase.rawValue) \(record.target ?? "")")
        put(record)
    }

    private func strike() {
        after(random.within(.seconds(1) ... .seconds(20))) { [self] in
            guard now < Self.calm else { return store.draining.removeAll() }
            let node = random.pick(nodes)
            let short = random.within(.milliseconds(50) ... .seconds(4))
            let long = random.within(.seconds(5) ... .seconds(30))
            let length = random.chance(0.5) ? short : long
            switch random.below(6) {
            case 0:
                node.losePower()
                after(length) { node.start() }
            case 1:
                node.killDaemon()
                after(length) { node.start() }
            case 2:
                // Mostly about as long as a lease, so that its end and the fence's come close.
                node.isHostPaused = true
                after(random.chance(0.7) ? random.within(.seconds(8) ... .seconds(16)) : length) {
                    node.wake()
                }
            case 3:
                node.isCutOff = true
                after(length) { node.isCutOff = false }
            case 4: if let copy = node.allCopies.randomOne(&random) { node.lose(copy, "crash") }
            default:
                node.isStoreSlow = true
                after(length) { node.isStoreSlow = false }
            }
            strike()
        }
    }

    /// The store ends leases, and whoever is left fences who is gone.
    private func lookAfterLeases() {
        for (name, end) in store.members.sorted(by: { $0.key < $1.key }) where end <= now {
            store.members[name] = nil
            note("store", "\(name) is no member any more")
            notify()
        }
        for node in nodes
        where !store.isMember(node.name) && store.attached.contains(node.name)
            && fencing.insert(node.name).inserted
        {
            after(random.within(.milliseconds(100) ... .seconds(5))) { [self] in
                fencing.remove(node.name)
                guard !store.isMember(node.name), store.attached.remove(node.name) != nil else {
                    return
                }
                note("fence", "\(node.name) can write no more")
                for copy in node.allCopies { copy.isCut = true }
                notify()
            }
        }
        after(.milliseconds(100)) { [self] in lookAfterLeases() }
    }

    func put(_ record: MachineRecord) {
        let revision = (store.records[record.name]?.revision ?? 0) + 1
        store.records[record.name] = MachineStore.Entry(record: record, revision: revision)
        notify()
    }

    /// Something has changed: everybody is told, sooner or later.
    func notify() {
        for node in nodes {
            after(random.within(.milliseconds(1) ... .milliseconds(30))) { node.look() }
        }
    }
}

/// What the store has. One place, as the real one.
final class MachineStore {
    struct Entry {
        var record: MachineRecord
        var revision: UInt64
    }

    var records: [String: Entry] = [:]
    /// By node: when the lease ends.
    var members: [String: UInt64] = [:]
    var attached: Set<String> = []
    var draining: Set<String> = []

    func isMember(_ node: String) -> Bool { members[node] != nil }
}

extension Collection {
    func randomOne(_ random: inout SimulationRandom) -> Element? {
        isEmpty ? nil : self[index(startIndex, offsetBy: random.below(count))]
    }
}
