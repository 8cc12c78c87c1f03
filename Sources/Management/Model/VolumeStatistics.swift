/// What one node has done on one volume since its daemon started: a row of `covol stats`.
public struct VolumeStatistics: Codable, Sendable, Equatable {
    public var volume: String
    public var node: String
    /// Reads and writes of this node's processes that it performed on the LUN itself.
    public var directReads: UInt64
    public var directWrites: UInt64
    public var directReadBytes: UInt64
    public var directWriteBytes: UInt64
    /// Reads and writes of this node's processes that the coordinator performed for it.
    public var redirectedReads: UInt64
    public var redirectedWrites: UInt64
    public var redirectedReadBytes: UInt64
    public var redirectedWriteBytes: UInt64
    /// Operations other than reads and writes that this node sent to the coordinator.
    public var metadataOperations: UInt64
    /// Look-ups and questions for attributes that it answered by itself, by the coordinator's grant.
    public var metadataCached: UInt64
    /// Layouts that this node gave back because it was asked to.
    public var recalls: UInt64

    /// All counts are zero.
    public init(volume: String, node: String) {
        self.volume = volume
        self.node = node
        directReads = 0
        directWrites = 0
        directReadBytes = 0
        directWriteBytes = 0
        redirectedReads = 0
        redirectedWrites = 0
        redirectedReadBytes = 0
        redirectedWriteBytes = 0
        metadataOperations = 0
        metadataCached = 0
        recalls = 0
    }
}
