import ClusterStore
import Logging
import Transport
import VolumeModel

/// What every part of a daemon works with.
struct NodeContext: Sendable {
    var node: String
    var incarnation: Incarnation
    var clusterID: String
    var clusterName: String
    var root: String
    var store: any ClusterStore
    var membership: Membership
    var log: Logger
    /// The open connections of a peer to this node's server, for recalls.
    var connections: @Sendable (PeerIdentity) -> [PeerConnection]
    var peers: @Sendable () -> Peers

    func path(of volume: String) -> String { root + "/" + volume }
}
