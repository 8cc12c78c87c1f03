import ClusterCore
import VolumeModel

/// One run: a cluster of three nodes with one volume, its LUN, its store and its network, driven by
/// events in the order of time, with every choice drawn from the seed. What the daemon decides is
/// decided by the daemon's own state machines; this is the world around them.
///
/// A run belongs to one task: nothing here is shared.
final class Simulation {
    let seed: UInt64
    let rules: SafetyRules
    var random: SimulationRandom
    let scenario: Scenario
    private(set) var now: UInt64 = 0
    private var queue = EventQueue()
    private(set) var violation: Violation?
    private(set) var eventCount = 0
    private(set) var lines: [TraceLine] = []
    let isTracing: Bool

    private(set) var lun: ModelLUN!
    private(set) var store: SimulatedStore!
    private(set) var network: SimulatedNetwork!
    private(set) var nodes: [SimulatedHost] = []
    private(set) var oracle: Oracle!
    /// The mount that the newest coordinator has, as long as its host runs.
    var mount: ModelMount?
    var lastIncarnation: UInt64 = 0
    var lastKey: UInt64 = 0
    var lastTag: Cell = 0
    var lastOperation: UInt64 = 0
    var counts = RunCounts()

    init(seed: UInt64, rules: SafetyRules, focus: SafetyRules = [], isTracing: Bool) {
        self.seed = seed
        self.rules = rules
        self.isTracing = isTracing
        var random = SimulationRandom(seed: seed)
        scenario = Scenario(random: &random, focus: focus)
        self.random = random
        lun = ModelLUN(simulation: self, nodes: 3, isReserved: !scenario.isLeaseOnly)
        oracle = Oracle(simulation: self)
        store = SimulatedStore(simulation: self)
        network = SimulatedNetwork(simulation: self)
        nodes = (0..<3).map { SimulatedHost(simulation: self, index: $0) }
    }

    // MARK: Time

    func after(_ delay: UInt64, _ body: @escaping () -> Void) { queue.add(at: now + delay, body) }

    func run() -> RunResult {
        prepareVolume()
        for node in nodes { node.start() }
        store.owner = VolumeRecords.Owner(
            identity: nodes[0].identity, epoch: Epoch(1), phase: .assigned)
        Faults(simulation: self).schedule()
        while violation == nil, let (time, body) = queue.next() {
            guard time <= scenario.lengthNanoseconds else { break }
            now = time
            eventCount += 1
            body()
        }
        if violation == nil { oracle.checkAtEnd() }
        let result = RunResult(
            seed: seed, violation: violation, eventCount: eventCount, counts: counts,
            trace: lines)
        tearDown()
        return result
    }

    /// Breaks the circles of references: ten thousand runs must not add up.
    private func tearDown() {
        queue.removeAll()
        lun.removeAll()
        for node in nodes { node.tearDown() }
        mount = nil
        nodes = []
    }

    // MARK: What is told

    func trace(_ place: @autoclosure () -> String, _ text: @autoclosure () -> String) {
        guard isTracing else { return }
        lines.append(TraceLine(timeNanoseconds: now, place: place(), text: text()))
    }

    func fail(_ check: String, _ details: @autoclosure () -> String) {
        guard violation == nil else { return }
        let found = Violation(check: check, details: details(), timeNanoseconds: now)
        violation = found
        trace("VIOLATION", "\(found)")
    }

    // MARK: What the volume truly is

    /// The file system as the newest coordinator sees it, or as the next would find it.
    var truth: FileSystemState { mount?.state ?? lun.metadata }

    /// A direct write lands: its blocks must be the file's, written, at that place, and nobody else's.
    func checkDirect(_ node: Int, _ direct: ModelLUN.DirectWrite, _ blocks: [Int]) {
        for (offset, block) in blocks.enumerated() {
            let fileBlock = direct.firstFileBlock + offset
            guard truth.owns(direct.file, fileBlock: fileBlock, block: block) else {
                fail(
                    "direct write to a block of somebody else's",
                    "node\(node + 1) writes LUN block \(block) as block \(fileBlock) of file "
                        + "\(direct.file)")
                return
            }
        }
    }

    /// A mount touches the LUN: it must be the newest.
    func checkCoordinator(_ epoch: Epoch, _ what: String) {
        if epoch < lun.mountedEpoch {
            fail(
                "two coordinators",
                "the coordinator of epoch \(epoch) \(what) while epoch \(lun.mountedEpoch) has it"
            )
        }
    }
}

/// What a run did, so that one sees whether it did anything.
public struct RunCounts: Hashable, Sendable {
    public var directReads = 0
    public var directWrites = 0
    public var redirectedReads = 0
    public var redirectedWrites = 0
    public var recalls = 0
    /// Of attributes and names.
    public var metadataRecalls = 0
    /// Names and attributes that a node told without asking.
    public var metadataAnswered = 0
    public var mounts = 0
    public var fences = 0
    public var operations = 0

    mutating func add(_ other: RunCounts) {
        directReads += other.directReads
        directWrites += other.directWrites
        redirectedReads += other.redirectedReads
        redirectedWrites += other.redirectedWrites
        recalls += other.recalls
        metadataRecalls += other.metadataRecalls
        metadataAnswered += other.metadataAnswered
        mounts += other.mounts
        fences += other.fences
        operations += other.operations
    }
}

/// How a run ended.
public struct RunResult: Sendable {
    public var seed: UInt64
    public var violation: Violation?
    public var eventCount: Int
    public var counts: RunCounts
    public var trace: [TraceLine]

    /// The violation with the seed that replays it; nil: there is none.
    public var failure: String? { violation.map { "SEED=\(seed): \($0)" } }
}
