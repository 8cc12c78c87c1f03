import ClusterCore
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
    static let events = "events/"

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
    /// Below `members/`: it left of its own will.
    var hasLeft: Bool?
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
    /// Why the volume is redirected on all nodes: a ``VolumeModel/RedirectReason``, and what the
    /// operator said to it.
    var redirected: [String: String]?
    /// The operator lets the volume fail over without a proof that the lost coordinator is cut off.
    var allowsUnproven: Bool?

    var kind: FileSystemKind? { FileSystemKind(rawValue: filesystem) }
}

/// Who coordinates a volume (rule one-coordinator).
struct OwnerRecord: Codable, Sendable, Equatable {
    var node: String
    var incarnation: UInt64
    var epoch: UInt64
    var phase: OwnerPhase
    /// Where an operator wants the coordinator.
    var moveTarget: String?

    var identity: NodeIdentity { NodeIdentity(name: node, incarnation: Incarnation(incarnation)) }
}

/// A node that may hold layouts of a volume (rule attached-before-layout); under no lease.
struct AttachmentRecord: Codable, Sendable, Equatable {
    var incarnation: UInt64
    /// The reservation key of its path; nil: the path is fenced, or has no reservations.
    var key: UInt64?
    /// False after a fence of the path.
    var hasPath: Bool
    /// Without a path by the operator's word alone: what was sent on it may still land.
    var isUnproven: Bool?
    /// The daemon's process and when that was started, proc_pid_stat(5): for the lab's fence.
    var process: Int32?
    var processStart: UInt64?
    /// After so long a silence its watchdog has reset the machine, and nothing of it is left in any
    /// queue; nil: it has none.
    var watchdogWaitSeconds: Double?
}

/// How a node reaches a volume, for everybody to see; under the node's lease.
struct StateRecord: Codable, Sendable, Equatable {
    var state: String
    var reason: String?
    /// All reasons, where there are several.
    var reasons: [String]?
    /// What it waits for, in words.
    var detail: String?
    /// The volume-wide reasons under which the last direct I/O has ended.
    var applied: [String]?
    /// The name under which the node shows the volume.
    var name: String?
}
