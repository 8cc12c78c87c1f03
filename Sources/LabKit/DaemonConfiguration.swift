/// `covold.json` as the lab writes it; the daemon reads it with a type of its own, so that the
/// lab stays a client of the file's format.
public struct DaemonConfiguration: Codable, Sendable, Equatable {
    public var node: String
    public var cluster: String
    /// The folder in which volumes appear.
    public var root: String
    /// The folder for what the daemon itself remembers.
    public var state: String
    /// The Unix socket of the management API.
    public var socket: String
    /// The Unix socket of the cluster store.
    public var store: String
    /// Addresses for peers, `address:port`.
    public var listen: [String]
    /// The folder with `ca.pem`, `node.pem` and `node-key.pem`.
    public var certificates: String
    public var logLevel: String
    /// The node's own path to each device, by the name that the whole cluster uses.
    public var devices: [String: String]?
    /// The simulated LUN's control socket, and the name of this node's path there: how the node
    /// sends SCSI commands.
    public var reservationSocket: String?
    public var reservationPath: String?
    /// `process` where a lost node can only be fenced by killing its daemon.
    public var fence: String?
}
