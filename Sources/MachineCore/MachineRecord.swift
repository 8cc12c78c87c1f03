/// What the cluster store says of one virtual machine. It changes by compare-and-put alone: who reads a
/// record and writes its successor knows that nobody was between.
public struct MachineRecord: Codable, Hashable, Sendable {
    /// Where the machine stands. What a node has to do about it follows from the phase and the owner.
    public enum Phase: String, Codable, Hashable, Sendable {
        /// Off.
        case stopped
        /// Is to run, and no node has been chosen.
        case waiting
        /// The owner is to start it.
        case starting
        /// The owner runs it.
        case running
        /// The owner runs it, and sends it to the target.
        case migrating
        /// The owner saves its state to the volume, for the target where there is one.
        case saving
        /// The owner ends it.
        case stopping
        /// Off, with its state on the volume.
        case saved
        /// Off, because it could not be kept running; `reason` says why.
        case failed
    }

    /// How a machine is ended.
    public enum Stop: String, Codable, Hashable, Sendable {
        /// The guest is asked (ACPI), and after a grace the plug is pulled.
        case shutdown
        /// The plug is pulled.
        case powerOff
    }

    /// One unwanted end.
    public struct Failure: Codable, Hashable, Sendable {
        public var node: String
        /// Seconds since 1970, UTC.
        public var timeSeconds: Double

        public init(node: String, timeSeconds: Double) {
            self.node = node
            self.timeSeconds = timeSeconds
        }
    }

    public var name: String
    /// The volume that its files are on, 32 hexadecimal digits.
    public var volume: String
    public var demand: MachineDemand
    /// Processors, for people to see.
    public var cpus: Int
    public var phase: Phase
    public var owner: String?
    /// Goes up with every change of the owner, and with every start: a copy of the machine may run only
    /// under the epoch that it was started or received for.
    public var epoch: UInt64
    /// Where it is being moved, or was asked to be started.
    public var target: String?
    /// Where the target's copy takes the stream, as `MigrationArrival` describes it.
    public var arrival: String?
    /// Counts the migrations: a copy that took the stream of one is of no use to another.
    public var migration: UInt64
    /// The owner got it by that migration, complete.
    public var handedOver: UInt64?
    /// The operator wants no migration any more.
    public var isCancelled: Bool
    /// The next start goes on from the saved state.
    public var isRestoring: Bool
    /// The guest's processors are to stand still.
    public var isPaused: Bool
    public var stop: Stop?
    /// Why it is where it is, in words.
    public var reason: String?
    /// Unwanted ends, the oldest first.
    public var failures: [Failure]
    /// The node that it was drained from, and whether it is to go back there.
    public var home: String?
    public var isReturning: Bool

    public init(name: String, volume: String, demand: MachineDemand) {
        self.name = name
        self.volume = volume
        self.demand = demand
        cpus = 1
        phase = .stopped
        epoch = 0
        migration = 0
        isCancelled = false
        isRestoring = false
        isPaused = false
        failures = []
        isReturning = false
    }

    /// A node has it, or is getting it.
    public var isOn: Bool {
        switch phase {
        case .stopped, .saved, .failed: false
        case .waiting, .starting, .running, .migrating, .saving, .stopping: true
        }
    }
}

/// Which machines come first, and what they need of a node.
public struct MachineDemand: Codable, Hashable, Sendable {
    public enum Priority: String, Codable, Hashable, Sendable, CaseIterable, Comparable {
        case low, medium, high

        public static func < (left: Self, right: Self) -> Bool {
            allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
        }
    }

    public var memoryBytes: UInt64
    public var priority: Priority
    /// In this order, before all others.
    public var preferredOwners: [String]
    /// No others; empty: any.
    public var possibleOwners: [String]
    /// Machines of one group are kept on different nodes as far as there are enough.
    public var antiAffinityGroup: String?

    public init(
        memoryBytes: UInt64, priority: Priority = .medium, preferredOwners: [String] = [],
        possibleOwners: [String] = [], antiAffinityGroup: String? = nil
    ) {
        self.memoryBytes = memoryBytes
        self.priority = priority
        self.preferredOwners = preferredOwners
        self.possibleOwners = possibleOwners
        self.antiAffinityGroup = antiAffinityGroup
    }
}
