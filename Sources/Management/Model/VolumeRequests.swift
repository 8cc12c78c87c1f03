import VolumeModel

/// Asks for a LUN to become a volume.
public struct VolumeAddRequest: Sendable, Equatable {
    /// This node's path to the LUN, absolute.
    public var device: String
    /// Nil: the daemon takes the first free one of Volume1, Volume2, …
    public var name: String?
    /// With `format` the file system to make (nil: XFS); without it the one that is expected there
    /// (nil: either).
    public var filesystem: FileSystemKind?
    /// Make a file system on a blank device.
    public var format: Bool
    /// The operator named the device as one whose contents may go: `format` takes it as it is.
    public var overwrite: Bool

    public init(
        device: String, name: String? = nil, filesystem: FileSystemKind? = nil,
        format: Bool = false, overwrite: Bool = false
    ) {
        self.device = device
        self.name = name
        self.filesystem = filesystem
        self.format = format
        self.overwrite = overwrite
    }
}

extension VolumeAddRequest: Codable {
    private enum CodingKeys: String, CodingKey {
        case device, name, filesystem, format, overwrite
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        device = try container.decode(String.self, forKey: .device)
        name = try container.decodeIfPresent(String.self, forKey: .name)
        filesystem = try container.decodeIfPresent(String.self, forKey: .filesystem).map { text in
            guard let kind = FileSystemKind(rawValue: text) else {
                throw ManagementError.invalidRequest(
                    "\(text.debugDescription) is no file system that a volume may have: "
                        + "use xfs or ext4")
            }
            return kind
        }
        format = try container.decodeIfPresent(Bool.self, forKey: .format) ?? false
        overwrite = try container.decodeIfPresent(Bool.self, forKey: .overwrite) ?? false
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(device, forKey: .device)
        try container.encodeIfPresent(name, forKey: .name)
        try container.encodeIfPresent(filesystem?.rawValue, forKey: .filesystem)
        try container.encode(format, forKey: .format)
        if overwrite { try container.encode(overwrite, forKey: .overwrite) }
    }
}

/// Asks for another name.
public struct VolumeRenameRequest: Codable, Sendable, Equatable {
    public var name: String

    public init(name: String) {
        self.name = name
    }
}
