import VolumeModel

/// A volume as `covol volume list` and `show` tell it.
public struct VolumeSummary: Codable, Sendable, Equatable {
    public var name: String
    /// The volume's identity, which renaming does not change.
    public var id: String
    /// This node's path to the LUN.
    public var device: String
    /// `xfs` or `ext4`.
    public var filesystem: String
    /// The node that has the file system mounted; nil where none has.
    public var coordinator: String?
    public var epoch: UInt64
    public var sizeBytes: UInt64
    /// Nil while no coordinator can tell.
    public var usedBytes: UInt64?
    /// Where this node shows the volume.
    public var path: String
    /// How a node that fails is kept from the LUN, or that nothing does.
    public var fence: String
    /// Why that fence does not work now; nil where it does, and where there is none.
    public var fenceProblem: String?
    /// A `FailoverMode`'s raw value. A string, so that an older client shows a newer daemon's
    /// words.
    public var failover: String
    /// Why it is redirected on all nodes, by `RedirectReason`, with what was said to each.
    public var redirected: [String: String]

    public init(
        name: String, id: String, device: String, filesystem: FileSystemKind, coordinator: String?,
        epoch: Epoch, sizeBytes: UInt64, usedBytes: UInt64?, path: String, fence: String,
        fenceProblem: String? = nil, failover: FailoverMode = .manual,
        redirected: [String: String] = [:]
    ) {
        self.name = name
        self.id = id
        self.device = device
        self.filesystem = filesystem.rawValue
        self.coordinator = coordinator
        self.epoch = epoch.number
        self.sizeBytes = sizeBytes
        self.usedBytes = usedBytes
        self.path = path
        self.fence = fence
        self.fenceProblem = fenceProblem
        self.failover = failover.rawValue
        self.redirected = redirected
    }

    /// Absent values are written as null, so that every object has the same fields.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(id, forKey: .id)
        try container.encode(device, forKey: .device)
        try container.encode(filesystem, forKey: .filesystem)
        try container.encode(coordinator, forKey: .coordinator)
        try container.encode(epoch, forKey: .epoch)
        try container.encode(sizeBytes, forKey: .sizeBytes)
        try container.encode(usedBytes, forKey: .usedBytes)
        try container.encode(path, forKey: .path)
        try container.encode(fence, forKey: .fence)
        try container.encode(fenceProblem, forKey: .fenceProblem)
        try container.encode(failover, forKey: .failover)
        try container.encode(redirected, forKey: .redirected)
    }
}
