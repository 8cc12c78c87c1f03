import VolumeModel

/// Where an epoch's coordinator stands.
public enum OwnerPhase: String, Hashable, Sendable, Codable {
    /// The node may mount.
    case assigned
    /// The node has it mounted and serves.
    case serving
    /// The node has proven that it is unmounted.
    case released
    /// The node says that it cannot go on. That proves nothing: its path is fenced first.
    case failed
    /// The node's path is proven to be fenced.
    case fenced
}

/// What the cluster store says of one volume, read at one revision.
public struct VolumeRecords: Hashable, Sendable {
    /// The ownership record (rule one-coordinator).
    public struct Owner: Hashable, Sendable {
        public var identity: NodeIdentity
        public var epoch: Epoch
        public var phase: OwnerPhase
        /// Where an operator wants the coordinator to be.
        public var moveTarget: String?

        public init(
            identity: NodeIdentity, epoch: Epoch, phase: OwnerPhase, moveTarget: String? = nil
        ) {
            self.identity = identity
            self.epoch = epoch
            self.phase = phase
            self.moveTarget = moveTarget
        }
    }

    /// A node that may hold layouts (rule attached-before-layout).
    public struct Attachment: Hashable, Sendable {
        public var incarnation: Incarnation
        /// Its path can write; false after a fence of the path.
        public var hasPath: Bool

        public init(incarnation: Incarnation, hasPath: Bool) {
            self.incarnation = incarnation
            self.hasPath = hasPath
        }
    }

    public var owner: Owner?
    /// By node name.
    public var attachments: [String: Attachment]
    /// The nodes whose lease the store holds to be valid, by name.
    public var members: [String: Incarnation]
    /// How many volumes each node coordinates.
    public var load: [String: Int]
    /// The operator lets the volume fail over without a proof.
    public var allowsUnproven: Bool
    /// Every node gives the volume up.
    public var isRemoving: Bool

    public init(
        owner: Owner? = nil, attachments: [String: Attachment] = [:],
        members: [String: Incarnation] = [:], load: [String: Int] = [:],
        allowsUnproven: Bool = false, isRemoving: Bool = false
    ) {
        self.owner = owner
        self.attachments = attachments
        self.members = members
        self.load = load
        self.allowsUnproven = allowsUnproven
        self.isRemoving = isRemoving
    }

    /// The node lives in this life.
    public func isMember(_ node: NodeIdentity) -> Bool { members[node.name] == node.incarnation }

    /// The node, in this life, may still write to the LUN as far as anybody has proven.
    public func mayWrite(_ node: NodeIdentity) -> Bool {
        guard let attachment = attachments[node.name] else { return false }
        return attachment.incarnation == node.incarnation && attachment.hasPath
    }
}
