import ClusterCore
import VolumeModel

/// A machine of the cluster: its daemon, which may be killed, stopped or started again, and what the
/// machine keeps while the daemon does not run.
final class SimulatedHost {
    unowned let simulation: Simulation
    let index: Int
    let name: String
    /// Goes up with each start and each end of the daemon: what was meant for an earlier life is lost.
    private(set) var life = 0
    private(set) var isRunning = false
    private(set) var isPaused = false
    private var deferred: [() -> Void] = []
    private let driftPerMillion: Int64
    private let clockOffset: UInt64

    private(set) var identity: NodeIdentity
    var member: VolumeMember
    var lease: MembershipLease
    private(set) var client: SimulatedClient!
    var coordinator: SimulatedCoordinator?
    /// A mount under way.
    var mountingEpoch: Epoch?
    /// The metadata that a mount through a shared device leaves in its page cache (the broken rule
    /// fresh-mount).
    var deviceCache: FileSystemState?
    /// When the daemon was paused, for the watchdog.
    private var pausedSince: UInt64 = 0

    init(simulation: Simulation, index: Int) {
        self.simulation = simulation
        self.index = index
        name = "node\(index + 1)"
        driftPerMillion = Int64(simulation.random.below(401)) - 200
        clockOffset = simulation.random.within(0 ... .seconds(1000))
        identity = NodeIdentity(name: name, incarnation: Incarnation(0))
        member = VolumeMember(me: identity, timings: .simulated, rules: simulation.rules)
        lease = MembershipLease(timings: .simulated, rules: simulation.rules)
    }

    /// This machine's CLOCK_BOOTTIME.
    var clock: UInt64 {
        let now = Int64(simulation.now)
        return clockOffset + UInt64(now + now / 1_000_000 * driftPerMillion)
    }

    // MARK: Life of the daemon

    func start() {
        guard !isRunning else { return }
        life += 1
        isRunning = true
        isPaused = false
        simulation.lastIncarnation += 1
        identity = NodeIdentity(
            name: name, incarnation: Incarnation(simulation.lastIncarnation))
        member = VolumeMember(me: identity, timings: .simulated, rules: simulation.rules)
        lease = MembershipLease(timings: .simulated, rules: simulation.rules)
        client = SimulatedClient(host: self)
        simulation.trace(name, "daemon starts as \(identity)")
        client.startProcesses()
        tick()
    }

    /// The daemon is gone; the kernel's I/O is not.
    func kill() {
        guard isRunning else { return }
        simulation.trace(name, "daemon killed")
        simulation.lun.daemonLost(node: index)
        endLife()
    }

    /// The machine is gone.
    func losePower() {
        simulation.trace(name, "power lost")
        simulation.lun.hostLost(node: index)
        deviceCache = nil
        if isRunning { endLife() }
    }

    private func endLife() {
        life += 1
        isRunning = false
        isPaused = false
        deferred = []
        client.end()
        coordinator?.crash()
        coordinator = nil
        mountingEpoch = nil
    }

    func pause() {
        guard isRunning, !isPaused else { return }
        isPaused = true
        pausedSince = simulation.now
        simulation.trace(name, "daemon stopped")
        let thisLife = life
        // Where only the lease protects, a machine whose daemon stands still is reset by its watchdog.
        guard simulation.scenario.isLeaseOnly else { return }
        simulation.after(ClusterTimings.simulated.directStopNanoseconds / 2) { [self] in
            if life == thisLife, isPaused, simulation.now - pausedSince >= .milliseconds(600) {
                simulation.trace(name, "watchdog resets the machine")
                losePower()
                simulation.after(.milliseconds(900)) { [self] in start() }
            }
        }
    }

    func resume() {
        guard isRunning, isPaused else { return }
        isPaused = false
        simulation.trace(name, "daemon continues")
        let waiting = deferred
        deferred = []
        for body in waiting { simulation.after(simulation.random.within(0...20_000), body) }
    }

    /// Something that happens to this life of the daemon: later if it stands still, never if it ended.
    func run(_ life: Int, _ body: @escaping () -> Void) {
        guard life == self.life, isRunning else { return }
        if isPaused {
            deferred.append { [self] in run(life, body) }
        } else {
            body()
        }
    }

    func after(_ delay: UInt64, _ body: @escaping () -> Void) {
        let life = life
        simulation.after(delay) { [unowned self] in run(life, body) }
    }

    /// A message to another daemon: it reaches that process or none.
    func send(to other: SimulatedHost, _ body: @escaping () -> Void) {
        let life = other.life
        simulation.network.send(from: index, to: other.index) { other.run(life, body) }
    }

    // MARK: Membership

    private func tick() {
        after(.milliseconds(50)) { [self] in tick() }
        let now = simulation.now
        if now >= nextRenewal {
            nextRenewal = now + ClusterTimings.simulated.renewalNanoseconds
            renew()
        }
        simulation.store.transact(from: self) { _ in
        } answer: {
        }
        handle(.lease(isValid: isLeaseGood))
        if !simulation.lun.hasFlights(of: index) { handle(.drained) }
        client.tick()
    }

    private var nextRenewal: UInt64 = 0
    private var seenRevision: UInt64 = 0

    /// Where nothing else stops this node, it stops well before its lease ends.
    private var isLeaseGood: Bool {
        simulation.scenario.isLeaseOnly
            ? lease.coversDirect(nowNanoseconds: clock) : lease.isValid(nowNanoseconds: clock)
    }

    /// Direct I/O may go on.
    var mayUsePath: Bool {
        !simulation.scenario.isLeaseOnly || lease.coversDirect(nowNanoseconds: clock)
    }

    private func renew() {
        let sent = clock
        let (name, incarnation) = (identity.name, identity.incarnation)
        let length = ClusterTimings.simulated.leaseNanoseconds
        simulation.store.transact(from: self) {
            $0.renew(name, incarnation, leaseNanoseconds: length)
        } answer: { [self] isRenewed in
            let slow = simulation.random.chance(simulation.scenario.slowStoreChance)
            let delay = slow ? simulation.random.within(0 ... .milliseconds(1900)) : 0
            after(delay) { [self] in
                if isRenewed {
                    lease.renewed(sentNanoseconds: sent, nowNanoseconds: clock)
                } else {
                    lease.ended()
                }
                handle(.lease(isValid: isLeaseGood))
            }
        }
    }

    // MARK: Decisions

    /// Records never go back: what was read before is not told after what was read later.
    func take(_ records: VolumeRecords, revision: UInt64) {
        guard revision > seenRevision else { return }
        seenRevision = revision
        handle(.records(records))
    }

    func handle(_ event: VolumeMemberEvent) {
        var actions: [VolumeMemberAction] = []
        member.handle(event, nowNanoseconds: clock, into: &actions)
        for action in actions { perform(action) }
    }

    func tearDown() {
        deferred = []
        client?.end()
        coordinator?.tearDown()
        coordinator = nil
        client = nil
    }
}

extension ClusterTimings {
    /// A fifth of the daemon's, so that a run sees many leases.
    static let simulated = ClusterTimings(
        leaseNanoseconds: .milliseconds(2000), renewalNanoseconds: .milliseconds(400),
        directStopNanoseconds: .milliseconds(1400), candidateNanoseconds: .milliseconds(300),
        retryNanoseconds: .milliseconds(150))
}
