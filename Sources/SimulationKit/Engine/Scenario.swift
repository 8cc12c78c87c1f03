import VolumeModel

/// What kind of weather a run has. All of it is drawn from the seed, so that some runs are calm and
/// busy, others full of crashes: a fault that needs a rare mix finds a run that is rich in it.
struct Scenario {
    /// Only the lease keeps a lost node from writing: no reservations.
    var isLeaseOnly = false
    var lengthNanoseconds: UInt64 = .seconds(20)
    var processesPerNode = 2
    var thinkNanoseconds: UInt64 = .milliseconds(60)
    /// Of every message: how likely it takes long, and is lost.
    var slowMessageChance = 0.0
    var slowMessageMaximum: UInt64 = .milliseconds(400)
    var lostMessageChance = 0.0
    var slowWriteChance = 0.02
    /// How late an I/O lands that its initiator has given up.
    var lateMaximum: UInt64 = .seconds(3)
    /// Mean time between two faults; 0: none.
    var faultPeriod: UInt64 = 0
    var faults: [(Fault, Int)] = []
    var operations: [(WorkloadOperation, Int)] = []
    var fileCount = 4
    var writeBackPeriod: UInt64 = .milliseconds(150)
    /// How likely the answer to the renewal of a lease takes nearly as long as the lease.
    var slowStoreChance = 0.0
    /// How long a fence takes at most, from its decision on.
    var fenceMaximum: UInt64 = .milliseconds(5)
    /// After which time direct I/O hangs.
    var overdueNanoseconds: UInt64 = .milliseconds(400)

    enum Fault: Hashable, CaseIterable {
        case hostPower, daemonKill, daemonPause, longPause, pathFail, pathHang, partition, isolate
        case move
        /// A node loses the network and its path at once.
        case stranded
        /// A node's path hangs, its daemon is killed, and another starts at once.
        case hungRestart
    }

    enum WorkloadOperation: Hashable, CaseIterable {
        case read, write, writePart, extend, append, truncate, punch, zero, allocate, stat, sync
        case reopen, create, unlink, rename, link, setAttribute, removeAttribute, lock, copy
        case look
    }

    func lunDelay(_ random: inout SimulationRandom) -> UInt64 {
        random.chance(slowWriteChance)
            ? random.within(.milliseconds(1) ... .milliseconds(60))
            : random.within(.microseconds(30) ... .microseconds(400))
    }

    /// `focus`: the rule whose weather the run should have; none: any, and often that of some rule.
    init(random: inout SimulationRandom, focus: SafetyRules = []) {
        fileCount = 2 + random.below(4)
        processesPerNode = 1 + random.below(3)
        thinkNanoseconds = .milliseconds(random.pick([15, 30, 60, 100]))
        operations = Self.weights(&random)
        slowWriteChance = random.pick([0.0, 0.02, 0.1])
        if random.chance(0.6) {
            slowMessageChance = random.pick([0.002, 0.02, 0.1])
            slowMessageMaximum = .milliseconds(random.pick([20, 200, 1500, 4000]))
        }
        if random.chance(0.4) { lostMessageChance = random.pick([0.001, 0.01]) }
        writeBackPeriod = .milliseconds(random.pick([20, 150, 800]))
        isLeaseOnly = random.chance(0.3)
        lateMaximum = isLeaseOnly ? .milliseconds(300) : .milliseconds(random.pick([500, 4000]))
        if random.chance(0.4) { slowStoreChance = 0.4 }
        fenceMaximum = .milliseconds(random.pick([5, 5, 500, 3000]))
        overdueNanoseconds = .milliseconds(random.pick([400, 400, 5000]))
        if random.chance(0.85) {
            faultPeriod = .milliseconds(random.pick([1500, 3000, 6000]))
            faults = Self.faultWeights(&random)
        }
        var focus = focus
        if focus.isEmpty, random.chance(0.5) { focus = random.pick(SafetyRules.named).rule }
        if !focus.isEmpty, random.chance(0.8) { bias(towards: focus, &random) }
    }

    /// Makes the mix that a rule is there for more likely than chance would.
    private mutating func bias(towards rule: SafetyRules, _ random: inout SimulationRandom) {
        let period = UInt64.milliseconds(random.pick([1500, 2500]))
        switch rule {
        case .leaseFromSend:
            waitsForLeases()
            slowStoreChance = 0.6
            meets([(.isolate, 4), (.stranded, 1), (.move, 1)], every: period * 2)
        case .validAtCompletion:
            waitsForLeases()
            overdueNanoseconds = .milliseconds(5000)
            meets([(.stranded, 4), (.isolate, 1)], every: period * 2)
        case .drainedBeforeRejoin:
            isLeaseOnly = false
            lateMaximum = .milliseconds(4000)
            meets([(.hungRestart, 3), (.daemonKill, 3), (.hostPower, 1)], every: period)
        case .epochInEveryMessage:
            slowMessageChance = 0.1
            slowMessageMaximum = .milliseconds(random.pick([1500, 4000]))
            meets([(.move, 4), (.longPause, 1), (.hostPower, 1)], every: period)
        case .attachedBeforeLayout, .fenceBeforeForget, .oneCoordinator:
            isLeaseOnly = false
            fenceMaximum = .milliseconds(3000)
            meets([(.isolate, 3), (.longPause, 2), (.partition, 1)], every: period * 2)
        case .durableBeforeGrant:
            operations += [(.extend, 60), (.read, 20)]
            meets([(.hostPower, 3), (.daemonKill, 2), (.pathFail, 1)], every: period)
        case .recallBeforeChange:
            operations += [(.look, 30), (.stat, 30), (.create, 10), (.unlink, 10), (.rename, 10)]
        case .failedBeforeRedirect:
            meets([(.pathFail, 2), (.pathHang, 3)], every: period)
        default:
            break
        }
    }

    private mutating func waitsForLeases() {
        isLeaseOnly = true
        lateMaximum = .milliseconds(300)
    }

    private mutating func meets(_ wanted: [(Fault, Int)], every period: UInt64) {
        faults = wanted
        faultPeriod = period
    }

    private static func weights(
        _ random: inout SimulationRandom
    ) -> [(WorkloadOperation, Int)] {
        var weights: [(WorkloadOperation, Int)] = []
        for operation in WorkloadOperation.allCases {
            let usual: Int
            switch operation {
            case .read, .write: usual = 20
            case .extend, .writePart: usual = 8
            case .append, .truncate, .punch, .stat, .sync, .reopen, .look: usual = 4
            case .create, .unlink, .rename, .lock: usual = 3
            default: usual = 2
            }
            // Some runs do without an operation, some do little else.
            weights.append((operation, usual * random.pick([0, 1, 1, 1, 2, 5])))
        }
        weights.append((.read, 5))
        weights.append((.write, 5))
        return weights
    }

    private static func faultWeights(_ random: inout SimulationRandom) -> [(Fault, Int)] {
        var weights: [(Fault, Int)] = [(.move, 1)]
        for fault in Fault.allCases { weights.append((fault, random.pick([0, 0, 1, 1, 4]))) }
        return weights
    }
}
