/// The file system that the lab's volume gets.
public enum LabFileSystem: String, Codable, Sendable, CaseIterable {
    case xfs
    case ext4
}

/// What `covol lab up` may be told.
public struct LabOptions: Sendable, Codable, Equatable {
    /// How many nodes, 1 to `LabLimits.maximumNodes`.
    public var nodes: Int
    /// The size of the LUN's image. The image is sparse.
    public var sizeBytes: Int64
    public var fileSystem: LabFileSystem
    /// Whether the image lies in memory (tmpfs at /dev/shm) instead of in the lab's directory.
    public var memory: Bool
    /// The volume's name. Each node shows it as `DIR/nodeN/<name>`.
    public var volumeName: String
    /// The daemons' log level, as swift-log names them.
    public var logLevel: String
    /// Whether an image that an earlier lab left in the directory is overwritten.
    public var replacesImage: Bool
    /// Whether `up` adds the volume. Without it the lab is a cluster with an unused LUN.
    public var addsVolume: Bool
    /// Whether each node has a path of its own to a simulated LUN, which takes faults.
    public var simulatedLUN: Bool

    public init(
        nodes: Int = 3, sizeBytes: Int64 = 2 << 30, fileSystem: LabFileSystem = .xfs,
        memory: Bool = false, volumeName: String = "Volume1", logLevel: String = "info",
        replacesImage: Bool = false, addsVolume: Bool = true, simulatedLUN: Bool = false
    ) {
        self.nodes = nodes
        self.sizeBytes = sizeBytes
        self.fileSystem = fileSystem
        self.memory = memory
        self.volumeName = volumeName
        self.logLevel = logLevel
        self.replacesImage = replacesImage
        self.addsVolume = addsVolume
        self.simulatedLUN = simulatedLUN
    }

    /// A record written before there were simulated LUNs is of a lab without one.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        nodes = try values.decode(Int.self, forKey: .nodes)
        sizeBytes = try values.decode(Int64.self, forKey: .sizeBytes)
        fileSystem = try values.decode(LabFileSystem.self, forKey: .fileSystem)
        memory = try values.decode(Bool.self, forKey: .memory)
        volumeName = try values.decode(String.self, forKey: .volumeName)
        logLevel = try values.decode(String.self, forKey: .logLevel)
        replacesImage = try values.decode(Bool.self, forKey: .replacesImage)
        addsVolume = try values.decode(Bool.self, forKey: .addsVolume)
        simulatedLUN = try values.decodeIfPresent(Bool.self, forKey: .simulatedLUN) ?? false
    }

    /// What integration tests start from: the LUN in memory.
    public static func test(
        fileSystem: LabFileSystem = .xfs, nodes: Int = 3, sizeBytes: Int64 = 1 << 30,
        simulatedLUN: Bool = false
    ) -> LabOptions {
        LabOptions(
            nodes: nodes, sizeBytes: sizeBytes, fileSystem: fileSystem, memory: true,
            simulatedLUN: simulatedLUN)
    }

    /// Refuses what cannot work, before anything is made.
    public func validate() throws(LabError) {
        guard (1...LabLimits.maximumNodes).contains(nodes) else {
            throw LabError(
                .badOption, "--nodes \(nodes): a lab has 1 to \(LabLimits.maximumNodes) nodes")
        }
        let minimum =
            fileSystem == .xfs ? LabLimits.minimumXFSSizeBytes : LabLimits.minimumExt4SizeBytes
        guard (minimum...LabLimits.maximumSizeBytes).contains(sizeBytes) else {
            throw LabError(
                .badOption,
                "--size: \(fileSystem.rawValue) needs \(minimum >> 20)M or more, and "
                    + "\(LabLimits.maximumSizeBytes >> 40)T is the most")
        }
        guard !volumeName.isEmpty, volumeName != ".", volumeName != "..",
            !volumeName.contains("/"), volumeName.utf8.count <= 64
        else {
            throw LabError(.badOption, "the volume's name must be a file name of up to 64 bytes")
        }
    }
}
