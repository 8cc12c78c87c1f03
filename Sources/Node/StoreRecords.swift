import ClusterStore
import VolumeModel
import VolumeProtocol

/// What the cluster agrees on: the keys of the cluster store and the values below them, in JSON.
enum StoreKeys {
    static let nodes = "nodes/"
    static let members = "members/"
    static let volumes = "volumes/"
    static let names = "names/"
    static let owners = "owners/"
    static let attachments = "attachments/"
    static let states = "states/"

    static func node(_ name: String) -> String { nodes + name }
    static func member(_ name: String) -> String { members + name }
    static func volume(_ id: String) -> String { volumes + id }
    static func name(_ name: String) -> String { names + name }
    static func owner(_ id: String) -> String { owners + id }
    static func attachments(_ id: String) -> String { attachments + id + "/" }
    static func attachment(_ id: String, _ node: String) -> String { attachments(id) + node }
    static func states(_ id: String) -> String { states + id + "/" }
    static func state(_ id: String, _ node: String) -> String { states(id) + node }
}

/// A node: below `nodes/` under its lease while it is alive, below `members/` for good.
struct NodeRecord: Codable, Sendable, Equatable {
    var incarnation: UInt64
    var addresses: [String]
}

/// A volume of the cluster.
struct VolumeRecord: Codable, Sendable, Equatable {
    enum Phase: String, Codable, Sendable {
        case active
        /// Every node gives it up; then its records go.
        case removing
    }

    /// 32 hexadecimal digits, see ``VolumeProtocol/VolumeID``.
    var id: String
    var name: String
    /// The LUN, by a path that is the same on every node.
    var device: String
    var filesystem: String
    var sizeBytes: UInt64
    var phase: Phase

    var kind: FileSystemKind? { FileSystemKind(rawValue: filesystem) }
}

/// Who coordinates a volume (rule one-coordinator).
struct OwnerRecord: Codable, Sendable, Equatable {
    enum Phase: String, Codable, Sendable {
        /// The node may mount.
        case assigned
        /// The node has it mounted and serves.
        case serving
        /// The node has proven that it is unmounted.
        case released
    }

    var node: String
    var incarnation: UInt64
    var epoch: UInt64
    var phase: Phase
}

/// A node that may hold layouts of a volume (rule attached-before-layout); under no lease.
struct AttachmentRecord: Codable, Sendable, Equatable {
    var incarnation: UInt64
}

/// How a node reaches a volume, for everybody to see; under the node's lease.
struct StateRecord: Codable, Sendable, Equatable {
    var state: String
    var reason: String?
    /// The name under which the node shows the volume.
    var name: String?
}
