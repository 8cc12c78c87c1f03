import VolumeModel

/// What a name stands for (`struct fuse_entry_out`). Time-outs of zero: the kernel asks each time.
public struct FUSEEntry: Sendable {
    /// 0 in a lookup's answer: there is no such name, and the kernel may remember that.
    public var nodeID: UInt64
    /// With the node's number, unique for the mount's life.
    public var generation: UInt64
    public var attributes: FileAttributes
    public var entryTimeoutSeconds: UInt64
    public var attributesTimeoutSeconds: UInt64

    public init(
        nodeID: UInt64, generation: UInt64 = 0, attributes: FileAttributes,
        entryTimeoutSeconds: UInt64 = 0, attributesTimeoutSeconds: UInt64 = 0
    ) {
        self.nodeID = nodeID
        self.generation = generation
        self.attributes = attributes
        self.entryTimeoutSeconds = entryTimeoutSeconds
        self.attributesTimeoutSeconds = attributesTimeoutSeconds
    }
}
