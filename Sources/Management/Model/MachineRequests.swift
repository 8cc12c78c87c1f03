/// Asks for a new virtual machine.
public struct MachineCreateRequest: Codable, Sendable, Equatable {
    public struct Disk: Codable, Sendable, Equatable {
        public enum Format: String, Codable, Sendable, CaseIterable {
            case raw, qcow2
        }

        public var sizeBytes: UInt64
        public var format: Format

        public init(sizeBytes: UInt64, format: Format = .raw) {
            self.sizeBytes = sizeBytes
            self.format = format
        }
    }

    public var name: String
    public var volume: String
    /// A new, empty disk.
    public var disk: Disk?
    /// An image that is there, by its path on this node (raw, qcow2, vmdk, vhdx …): converted to the
    /// machine's first disk, and grown to `disk`'s size where that is given.
    public var image: String?
    /// Files of this node, copied into the machine's folder.
    public var kernel: String?
    public var initrd: String?
    public var append: String?
    /// A CD's image, used where it lies.
    public var iso: String?
    /// `user`, `bridge=NAME` or `none`.
    public var network: String
    /// `kvm` or `tcg`; nil: KVM where the machine's node has it.
    public var accelerator: String?
    public var settings: MachineSettings

    public init(name: String, volume: String, settings: MachineSettings) {
        self.name = name
        self.volume = volume
        self.settings = settings
        network = "user"
    }

    /// - Throws: `ManagementError` that names the wrong value.
    public func validate() throws(ManagementError) {
        try MachineName.validate(name)
        try VolumeName.validate(volume)
        try settings.validate()
        if let accelerator, !["kvm", "tcg"].contains(accelerator) {
            throw .invalidRequest("the accelerator is kvm or tcg, not \(accelerator)")
        }
        guard !["user", "none"].contains(network) else { return }
        let bridge = network.dropFirst("bridge=".count)
        // What the kernel takes for a device's name, less what nobody gives one.
        let isName = bridge.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte)
            }
        }
        guard network.hasPrefix("bridge="), (1...15).contains(bridge.utf8.count), isName,
            bridge.first != ".", bridge.first != "-"
        else {
            throw .invalidRequest(
                "the network is user, bridge=NAME with the name of a bridge, or none, not \(network)"
            )
        }
    }
}

/// What an operator may set on a machine; nil leaves it as it is, an empty list or text takes it away.
public struct MachineSettings: Codable, Sendable, Equatable {
    public var memoryBytes: UInt64?
    public var cpus: Int?
    public var priority: String?
    public var preferredOwners: [String]?
    public var possibleOwners: [String]?
    public var antiAffinityGroup: String?

    public init() {}

    /// - Throws: `ManagementError` that names the wrong value.
    public func validate() throws(ManagementError) {
        if let memoryBytes, memoryBytes < 16 << 20 || memoryBytes > 64 << 40 {
            throw .invalidRequest("a machine's memory is 16M to 64T")
        }
        if let cpus, !(1...1024).contains(cpus) {
            throw .invalidRequest("a machine has 1 to 1024 processors")
        }
        if let priority, !["high", "medium", "low"].contains(priority) {
            throw .invalidRequest("the priority is high, medium or low, not \(priority)")
        }
        for node in (preferredOwners ?? []) + (possibleOwners ?? []) { try NodeName.validate(node) }
        if let group = antiAffinityGroup, !group.isEmpty { try MachineName.validate(group) }
    }
}

/// What a machine is to do.
public enum MachineOrder: Codable, Sendable, Equatable {
    /// On a node, or where the cluster chooses. Goes on from a saved state where there is one.
    case start(node: String?)
    /// Asks the guest, and pulls the plug after a grace; or pulls it at once.
    case stop(isForced: Bool)
    case reset
    case pause
    case resume
    /// Saves its state to the volume and turns it off.
    case save
    /// Forgets a saved state: the next start is a boot.
    case discard
    /// To a node, or where the cluster chooses; quick: by saved state, with an outage.
    case migrate(node: String?, isQuick: Bool)
    case cancelMigration

    /// - Throws: `ManagementError.invalidName`.
    public func validate() throws(ManagementError) {
        switch self {
        case .start(let node?), .migrate(let node?, _): try NodeName.validate(node)
        default: break
        }
    }
}

/// Asks for a drained node's return.
struct NodeResumeRequest: Codable, Sendable, Equatable {
    var failback: Bool
}
