/// No daemon answers on the management socket.
public struct ManagementUnreachable: Error, Sendable, Equatable, CustomStringConvertible {
    public let socketPath: String
    /// What the system said.
    public let reason: String
    /// What to do about it.
    public let advice: String

    init(socketPath: String, reason: String, advice: String = Self.startAdvice) {
        self.socketPath = socketPath
        self.reason = reason
        self.advice = advice
    }

    static let startAdvice =
        "start the node's daemon (`systemctl start covold`), or name another socket with --socket "
        + "or COVOL_SOCKET"
    static let permissionAdvice = "only root may manage the cluster: try with sudo"

    public var description: String {
        "the daemon cannot be reached at \(socketPath): \(reason); \(advice)"
    }
}
