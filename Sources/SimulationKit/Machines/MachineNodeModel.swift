import MachineCore
import VolumeModel

/// One node: its daemon, which lives and dies, and its copies of machines, which outlive the daemon.
final class MachineNodeModel {
    final class Copy {
        let machine: String
        let epoch: UInt64
        var isRunning = false
        var isIncoming: Bool
        /// All of a stream has arrived.
        var isLoaded = false
        var isSent = false
        /// The guest ran on elsewhere after this was copied from it.
        var isStale = false
        /// A fence has cut the files that it has open, for ever.
        var isCut = false
        var leaseEnd: UInt64

        init(machine: String, epoch: UInt64, isIncoming: Bool, leaseEnd: UInt64) {
            self.machine = machine
            self.epoch = epoch
            self.isIncoming = isIncoming
            self.leaseEnd = leaseEnd
        }
    }

    let name: String
    unowned let simulation: MachineSimulation
    var copies: [String: Copy] = [:]
    var isPowered = false
    /// Everything on the host stands still, guests and supervisors as well.
    var isHostPaused = false
    /// It does not reach the store.
    var isCutOff = false
    var isStoreSlow = false
    /// Of the daemon; an answer to an earlier life is nobody's.
    private var life = 0
    private var isDaemonAlive = false
    private var leaseEnd: UInt64 = 0
    private var hosts: [String: MachineHost] = [:]
    private var seen: [String: UInt64] = [:]
    private var unwanted: Set<String> = []
    private var deferred: [() -> Void] = []

    init(name: String, simulation: MachineSimulation) {
        self.name = name
        self.simulation = simulation
    }

    /// In the order of their machines' names, so that a seed replays.
    var allCopies: [Copy] { copies.values.sorted { $0.machine < $1.machine } }

    func runs(_ machine: String) -> Bool {
        guard isPowered, !isHostPaused, let copy = copies[machine] else { return false }
        return copy.isRunning && !copy.isCut
    }

    private var isLeaseValid: Bool { simulation.now < leaseEnd }

    // MARK: Life

    func start() {
        isPowered = true
        guard !isDaemonAlive else { return }
        isDaemonAlive = true
        life += 1
        leaseEnd = 0
        hosts = [:]
        seen = [:]
        unwanted = []
        for copy in allCopies {
            var found: MachineHostEvent.Found = .standing(copy.epoch)
            if copy.isIncoming {
                found = .useless
            } else if copy.isSent {
                found = .sent(copy.epoch)
            } else if copy.isRunning {
                found = .running(copy.epoch)
            }
            deliver(.found(found), copy.machine)
        }
        renew(life)
        tick(life)
    }

    func killDaemon() {
        simulation.note(name, "the daemon dies")
        isDaemonAlive = false
        life += 1
        hosts = [:]
    }

    func losePower() {
        simulation.note(name, "power off")
        isPowered = false
        isHostPaused = false
        deferred = []
        copies = [:]
        killDaemon()
    }

    func wake() {
        guard isHostPaused else { return }
        isHostPaused = false
        simulation.note(name, "the host goes on")
        for copy in allCopies { simulation.check(copy.machine) }
        let waiting = deferred
        deferred = []
        for body in waiting { body() }
    }

    /// Later, by this host's own doing: not while it stands still, and not for another life.
    private func later(_ delay: UInt64, ofDaemon: Bool = true, _ body: @escaping () -> Void) {
        let life = life
        simulation.after(delay) { [self] in
            let work = { [self] in
                guard isPowered, !ofDaemon || (life == self.life && isDaemonAlive) else { return }
                body()
            }
            if isHostPaused { deferred.append(work) } else { work() }
        }
    }

    private func storeDelay() -> UInt64 {
        isStoreSlow
            ? simulation.random.within(.milliseconds(100) ... .seconds(6))
            : simulation.random.within(.milliseconds(1) ... .milliseconds(20))
    }

    private func renew(_ life: Int) {
        guard life == self.life else { return }
        let sent = simulation.now
        if !isCutOff {
            simulation.after(storeDelay()) { [self] in
                guard !isCutOff else { return }
                let isNew = !simulation.store.isMember(name)
                // A new membership begins after the fence of the last one, attached anew.
                if isNew, simulation.store.attached.contains(name), sent > .seconds(1) { return }
                simulation.store.members[name] = simulation.now + MachineSimulation.leaseLength
                if isNew {
                    simulation.store.attached.insert(name)
                    simulation.notify()
                }
                later(storeDelay()) { [self] in
                    leaseEnd = max(leaseEnd, sent + MachineSimulation.leaseLength)
                }
            }
        }
        later(.seconds(2)) { [self] in renew(life) }
    }

    private func tick(_ life: Int) {
        guard life == self.life else { return }
        if isLeaseValid { for copy in allCopies { copy.leaseEnd = leaseEnd } }
        for machine in hosts.keys.sorted() { deliver(.lease(isValid: isLeaseValid), machine) }
        if simulation.random.chance(0.1) { look() }
        later(.milliseconds(250)) { [self] in tick(life) }
    }

    /// Its supervisor looks every now and then whether it may still run.
    private func supervise(_ copy: Copy) {
        later(.milliseconds(20), ofDaemon: false) { [self] in
            guard copies[copy.machine] === copy else { return }
            if simulation.now >= copy.leaseEnd {
                lose(copy, "the node had lost its membership")
            } else {
                supervise(copy)
            }
        }
    }

    // MARK: Records

    func look() {
        guard isPowered, isDaemonAlive, !isHostPaused, !isCutOff else { return }
        // What the store has at this moment arrives later.
        let entries = simulation.store.records
        let scheduler = simulation.scheduler
        let leader = simulation.store.members.keys.min()
        later(storeDelay()) { [self] in
            for (machine, entry) in entries.sorted(by: { $0.key < $1.key }) { take(entry, machine) }
            guard leader == name, isLeaseValid else { return }
            for decision in scheduler.decisions() {
                guard let seen = entries[decision.machine] else { continue }
                var next = seen.record
                decision.apply(to: &next)
                guard next != seen.record else { continue }
                simulation.after(storeDelay()) { [self] in
                    let current = simulation.store.records[decision.machine]
                    guard !isCutOff, current?.revision == seen.revision else { return }
                    simulation.note(name, "decides \(decision)")
                    simulation.put(next)
                }
            }
        }
    }

    private func take(_ entry: MachineStore.Entry, _ machine: String) {
        guard entry.revision >= seen[machine] ?? 0 else { return }
        seen[machine] = entry.revision
        deliver(.record(entry.record), machine)
    }

    func deliver(_ event: MachineHostEvent, _ machine: String) {
        guard isDaemonAlive else { return }
        var actions: [MachineHostAction] = []
        var host = hosts[machine] ?? newHost(&actions, event)
        let seconds = Double(simulation.now) / 1e9
        host.handle(.lease(isValid: isLeaseValid), timeSeconds: seconds, into: &actions)
        host.handle(event, timeSeconds: seconds, into: &actions)
        hosts[machine] = host
        for action in actions { perform(action, machine) }
    }

    private func newHost(
        _ actions: inout [MachineHostAction], _ event: MachineHostEvent
    ) -> MachineHost {
        var host = MachineHost(me: name, rules: simulation.rules)
        if case .found = event { return host }
        host.handle(.found(nil), timeSeconds: 0, into: &actions)
        return host
    }

    // MARK: Actions

    private func perform(_ action: MachineHostAction, _ machine: String) {
        simulation.note(name, "\(machine): \(action)")
        switch action {
        case .launch(let epoch, _): launch(machine, epoch, isIncoming: false)
        case .receive(let epoch): launch(machine, epoch, isIncoming: true)
        case .send(let epoch, let target, _): send(machine, epoch, target)
        case .cancel: cancelled.insert(machine)
        case .resume: resume(machine)
        case .pause(let wanted):
            copies[machine]?.isRunning = !wanted
            simulation.check(machine)
        case .save(let epoch): save(machine, epoch)
        case .stop(.shutdown):
            later(simulation.random.within(.milliseconds(100) ... .seconds(3))) { [self] in
                if let copy = copies[machine] { lose(copy, "shut down", isGuestsWish: true) }
            }
        case .stop(.powerOff), .kill:
            later(.milliseconds(1)) { [self] in
                if let copy = copies[machine] {
                    lose(copy, "killed")
                } else {
                    unwanted.insert(machine)
                }
            }
        case .write(let next, let after): write(next, after: after, false)
        }
    }

    private var cancelled: Set<String> = []

    private func launch(_ machine: String, _ epoch: UInt64, isIncoming: Bool) {
        unwanted.remove(machine)
        later(simulation.random.within(.milliseconds(20) ... .seconds(1))) { [self] in
            guard unwanted.remove(machine) == nil, copies[machine] == nil,
                !simulation.random.chance(0.05), simulation.store.attached.contains(name)
            else {
                return deliver(.exited(reason: "it does not start", isGuestsWish: false), machine)
            }
            let copy = Copy(
                machine: machine, epoch: epoch, isIncoming: isIncoming, leaseEnd: leaseEnd)
            copies[machine] = copy
            supervise(copy)
            if isIncoming {
                listen(copy)
            } else {
                deliver(.launched(epoch), machine)
            }
        }
    }

    private func listen(_ copy: Copy) {
        simulation.after(storeDelay()) { [self] in
            guard !isCutOff, var record = simulation.store.records[copy.machine]?.record,
                record.phase == .migrating, record.target == name, record.epoch + 1 == copy.epoch
            else { return later(0, ofDaemon: false) { [self] in lose(copy, "not wanted") } }
            record.arrival = "\(name):1"
            simulation.put(record)
        }
    }

    private func send(_ machine: String, _ epoch: UInt64, _ target: String) {
        cancelled.remove(machine)
        guard let copy = copies[machine] else { return }
        let length = simulation.random.within(.milliseconds(50) ... .seconds(8))
        later(length, ofDaemon: false) { [self] in
            guard copies[machine] === copy else { return }
            let node = simulation.nodes.first { $0.name == target }
            let other = node?.copies[machine]
            let isThere =
                node?.isPowered == true && node?.isHostPaused == false && other?.isIncoming == true
                && other?.epoch == epoch + 1 && !isCutOff && node?.isCutOff == false
            // A stream can also break after the target has taken in all of it.
            let breaks = simulation.random.chance(0.15)
            let isCancelled = cancelled.remove(machine) != nil || !isDaemonAlive
            guard isThere, !isCancelled, let node, let other,
                !breaks || simulation.random.chance(0.5)
            else {
                return deliver(.sent(epoch, .failed("it broke")), machine)
            }
            other.isLoaded = true
            other.isIncoming = false
            // The target notices a moment before, or after, the source.
            node.later(simulation.random.within(0 ... .milliseconds(60))) {
                guard node.copies[machine] === other else { return }
                node.deliver(.arrived(epoch + 1), machine)
            }
            if breaks {
                other.isStale = true
                deliver(.sent(epoch, .failed("it broke at the end")), machine)
            } else {
                copy.isRunning = false
                copy.isSent = true
                deliver(.sent(epoch, .completed), machine)
            }
        }
    }

    private func resume(_ machine: String) {
        later(simulation.random.within(.microseconds(100) ... .milliseconds(5))) { [self] in
            guard let copy = copies[machine] else { return }
            guard isLeaseValid else { return lose(copy, "no member") }
            copy.isRunning = true
            copy.isSent = false
            simulation.note(name, "\(machine) runs, epoch \(copy.epoch)")
            simulation.check(machine)
            if copy.isStale { simulation.reportStale(machine, on: name) }
        }
    }

    private func save(_ machine: String, _ epoch: UInt64) {
        copies[machine]?.isRunning = false
        later(simulation.random.within(.milliseconds(50) ... .seconds(4))) { [self] in
            guard copies[machine] != nil else { return }
            let fails = simulation.random.chance(0.1)
            deliver(.saved(epoch, failure: fails ? "no space" : nil), machine)
        }
    }

    func lose(_ copy: Copy, _ reason: String, isGuestsWish: Bool = false) {
        guard copies[copy.machine] === copy else { return }
        copies[copy.machine] = nil
        simulation.note(name, "\(copy.machine) ends: \(reason)")
        later(simulation.random.within(.milliseconds(1) ... .milliseconds(30))) { [self] in
            deliver(.exited(reason: reason, isGuestsWish: isGuestsWish), copy.machine)
        }
    }

    /// As the daemon's shell does it: until the store has answered, however often that takes.
    private func write(_ next: MachineRecord, after: MachineRecord, _ isWritten: Bool) {
        let (delay, answer) = (storeDelay(), storeDelay())
        let isLost = simulation.random.chance(0.05)
        let life = life
        simulation.after(delay) { [self] in
            var isWritten = isWritten
            if !isCutOff, life == self.life || simulation.random.chance(0.5),
                simulation.store.records[next.name]?.record == after
            {
                simulation.put(next)
                isWritten = !isLost
            }
            let entry = simulation.store.records[next.name]
            let isAnswered = !isCutOff && !isLost
            later(isAnswered ? answer : .milliseconds(300)) { [self] in
                guard isAnswered, let entry else { return write(next, after: after, isWritten) }
                take(entry, next.name)
                deliver(.wrote(isWritten), next.name)
            }
        }
    }
}

extension MachineSimulation {
    var scheduler: MachineScheduler {
        var models: [String: MachineNode] = [:]
        for node in nodes {
            models[node.name] = MachineNode(
                isMember: store.isMember(node.name), isDraining: store.draining.contains(node.name),
                memoryBytes: 16 << 30,
                attachments: store.attached.contains(node.name) ? ["v"] : [])
        }
        var limits = MachineScheduler.Limits()
        limits.failuresInAll = 1000
        return MachineScheduler(
            nodes: models, machines: store.records.mapValues(\.record),
            nowSeconds: Double(now) / 1e9, limits: limits, rules: rules)
    }
}
