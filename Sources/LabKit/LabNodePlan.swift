/// The names, paths and addresses of one node of a lab.
public struct LabNodePlan: Sendable, Equatable {
    public let lab: LabPlan
    /// From 1.
    public let number: Int

    public var name: String { "node\(number)" }
    public var namespace: String { LabPlan.namespacePrefix(tag: lab.tag) + name }

    public var clusterAddress: String { "10.\(lab.id).0.\(number)" }
    public var clientAddress: String { "10.\(lab.id).1.\(number)" }
    /// Where the node's daemon listens for its peers.
    public var listenAddress: String { "\(clusterAddress):\(Self.port)" }
    public static let port = 7400

    /// The node's folder, and the root under which it shows volumes.
    public var directory: String { lab.directory + "/" + name }
    public var volumePath: String { directory + "/" + lab.options.volumeName }
    public var stateDirectory: String { directory + "/state" }
    public var certificatesDirectory: String { directory + "/pki" }
    public var configurationPath: String { directory + "/covold.json" }
    public var socket: String { directory + "/covold.sock" }
    public var log: String { directory + "/covold.log" }

    /// This node's path to a simulated LUN.
    public var lunPath: String { lab.lunDirectory + "/" + name }

    /// What `covol lab exec` adds to a command's environment.
    public func environment(binaryDirectory: String, path: String) -> [String: String] {
        [
            "COVOL_SOCKET": socket,
            "COVOL_NODE": name,
            "COVOL_VOLUMES": directory,
            "PATH": path.isEmpty ? binaryDirectory : binaryDirectory + ":" + path,
        ]
    }

    /// The daemon's configuration.
    public var configuration: DaemonConfiguration {
        var configuration = DaemonConfiguration(
            node: name, cluster: lab.clusterName, root: directory, state: stateDirectory,
            socket: socket, store: lab.storeSocket, listen: [listenAddress],
            certificates: certificatesDirectory, logLevel: lab.options.logLevel)
        guard lab.options.simulatedLUN else {
            configuration.fence = "process"
            return configuration
        }
        // By either name: a daemon may resolve the link first.
        configuration.devices = [lab.lunLink: lunPath]
        configuration.devices?[lab.imagePath] = lunPath
        configuration.reservationSocket = lab.lunSocket
        configuration.reservationPath = name
        return configuration
    }
}
