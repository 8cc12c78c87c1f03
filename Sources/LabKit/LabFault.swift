/// What can be done to a node of a lab.
public enum LabFault: Sendable, Equatable {
    /// The node's path to the simulated LUN.
    public enum Storage: Sendable, Equatable {
        case fail
        case hang
        case slow(milliseconds: Int)
        case lateWrite
        case releaseLate
        case restore
    }

    public enum Network: String, Sendable, CaseIterable {
        case cluster
        case client
    }

    public enum Daemon: String, Sendable, CaseIterable {
        case kill
        case stop
        case `continue`
        case start
    }

    case storage(Storage)
    case network(Network, isUp: Bool)
    case power(isOn: Bool)
    case daemon(Daemon)

    /// A line of `covol lab fault --list`.
    public struct Help: Codable, Sendable, Equatable {
        /// The words after the node.
        public var fault: String
        public var help: String
    }

    /// Every fault there is.
    public static let list: [Help] = [
        Help(
            fault: "storage fail",
            help: "The node's I/O to the LUN fails at once with EIO, until restore."),
        Help(
            fault: "storage hang",
            help: "The node's I/O to the LUN hangs, until restore or until its path is fenced."),
        Help(
            fault: "storage slow --milliseconds N",
            help: "Each I/O of the node takes N ms longer to reach the LUN, until restore."),
        Help(
            fault: "storage late-write",
            help: "The path holds the node's next write back; everything else goes on."),
        Help(
            fault: "storage release-late",
            help: "The write that is held back lands now, whatever has happened meanwhile."),
        Help(
            fault: "storage restore",
            help: "The path works again; I/O that hangs goes on, a late write lands."),
        Help(
            fault: "network cluster down|up",
            help: "Pulls or plugs the node's cable of the cluster network, at the switch."),
        Help(
            fault: "network client down|up",
            help: "Pulls or plugs the node's cable of the client network, at the switch."),
        Help(
            fault: "power off",
            help: "Cuts the node's path, then kills all its processes: nothing in its memory is "
                + "written any more."),
        Help(fault: "power on", help: "Restores the path and starts the daemon."),
        Help(
            fault: "daemon kill",
            help: "Kills the daemon (SIGKILL); the kernel still writes what it has."),
        Help(
            fault: "daemon stop",
            help: "Stops the daemon (SIGSTOP): it lives and answers nothing, until continue."),
        Help(fault: "daemon continue", help: "Lets a stopped daemon go on (SIGCONT)."),
        Help(fault: "daemon start", help: "Starts the daemon after a kill."),
    ]

    /// The fault that words on the command line mean.
    /// - Throws: `badOption`, with the words that there are.
    public init(words: [String], milliseconds: Int? = nil) throws(LabError) {
        switch (words.first, words.dropFirst().first, words.dropFirst(2).first, words.count) {
        case ("storage", let kind?, nil, 2):
            self = .storage(try Self.storage(kind, milliseconds))
        case ("network", let name?, let state?, 3):
            guard let network = Network(rawValue: name), state == "up" || state == "down" else {
                throw Self.unknown(words)
            }
            self = .network(network, isUp: state == "up")
        case ("power", "on"?, nil, 2): self = .power(isOn: true)
        case ("power", "off"?, nil, 2): self = .power(isOn: false)
        case ("daemon", let action?, nil, 2):
            guard let daemon = Daemon(rawValue: action) else { throw Self.unknown(words) }
            self = .daemon(daemon)
        default: throw Self.unknown(words)
        }
        if case .storage(.slow) = self { return }
        guard milliseconds == nil else {
            throw LabError(.badOption, "--milliseconds goes with `storage slow` only")
        }
    }

    private static func storage(
        _ kind: String, _ milliseconds: Int?
    ) throws(LabError) -> Storage {
        switch kind {
        case "fail": return .fail
        case "hang": return .hang
        case "late-write": return .lateWrite
        case "release-late": return .releaseLate
        case "restore": return .restore
        case "slow":
            let delay = milliseconds ?? LabLimits.slowDefaultMilliseconds
            guard (1...LabLimits.slowMaximumMilliseconds).contains(delay) else {
                throw LabError(
                    .badOption,
                    "--milliseconds is 1 to \(LabLimits.slowMaximumMilliseconds)")
            }
            return .slow(milliseconds: delay)
        default: throw unknown(["storage", kind])
        }
    }

    private static func unknown(_ words: [String]) -> LabError {
        LabError(
            .badOption,
            "no fault '\(words.joined(separator: " "))': `covol lab fault --list` shows all")
    }
}
