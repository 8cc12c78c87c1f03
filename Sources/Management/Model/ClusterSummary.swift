/// The cluster as `covol cluster show` tells it.
public struct ClusterSummary: Codable, Sendable, Equatable {
    public var name: String
    /// The identity that the certificates carry.
    public var id: String
    /// Where the cluster store is, as the node's configuration says it.
    public var store: String
    /// The node that answers.
    public var node: String
    public var nodeCount: Int
    public var volumeCount: Int

    public init(
        name: String, id: String, store: String, node: String, nodeCount: Int, volumeCount: Int
    ) {
        self.name = name
        self.id = id
        self.store = store
        self.node = node
        self.nodeCount = nodeCount
        self.volumeCount = volumeCount
    }
}
