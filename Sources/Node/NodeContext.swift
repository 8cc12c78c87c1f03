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
    var configuration: NodeConfiguration
    var store: any ClusterStore
    var membership: Membership
    var log: Logger
    /// The open connections of a peer to this node's server, for recalls.
    var connections: @Sendable (PeerIdentity) -> [PeerConnection]
    var peers: @Sendable () -> Peers
    var events: EventLog
    var records: RecordReader
    /// Keeps this node's mounts while no daemon is there.
    var keeper: MountKeeper
    /// What a daemon before left there.
    var resumption: Resumption?

    var root: String { configuration.root }

    func path(of volume: String) -> String { root + "/" + volume }

    /// The LUN's device as this node opens it.
    func ownDevice(_ device: String) -> String { configuration.devices[device] ?? device }

    /// The other nodes that are up, by name.
    func otherMembers() async -> [String] {
        do {
            return try await store.all(prefix: StoreKeys.nodes).entries
                .map { String($0.key.dropFirst(StoreKeys.nodes.count)) }
                .filter { $0 != node }
        } catch {
            log.debug("the members are not known", metadata: ["error": "\(error)"])
            return []
        }
    }
}
