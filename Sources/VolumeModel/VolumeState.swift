/// How a node reaches a volume's data.
public enum AccessState: String, Sendable, CaseIterable {
    case direct = "Direct"
    case redirected = "Redirected"
    case paused = "Paused"
    case unavailable = "Unavailable"
}

/// Why a volume is not direct on a node.
public enum RedirectReason: String, Sendable, CaseIterable {
    case userRequest = "UserRequest"
    case noDiskConnectivity = "NoDiskConnectivity"
    case maintenance = "Maintenance"
    case snapshot = "Snapshot"
    case fileSystemLimit = "FileSystemLimit"
    case noCoordinator = "NoCoordinator"
    case starting = "Starting"
    /// The node's lease has lapsed, and nothing else protects the volume from it.
    case noMembership = "NoMembership"
}

/// The file systems that a volume may have.
public enum FileSystemKind: String, Sendable, CaseIterable {
    case xfs
    case ext4
}
