import Fencing
import Foundation

/// A node's configuration: one small JSON file, see `docs/operations.md`.
public struct NodeConfiguration: Codable, Sendable {
    /// This node's name, as in its certificate.
    public var node: String
    /// The cluster's name, for people.
    public var cluster: String
    /// The folder in which volumes appear.
    public var root: String
    /// The folder for what must outlive the daemon, but not the machine: running virtual machines.
    public var state: String
    /// The Unix socket of the management API.
    public var socket: String
    /// The Unix socket of the cluster store.
    public var store: String
    /// Addresses for peers, `host:port`.
    public var listen: [String]
    /// The folder with `ca.pem`, `node.pem` and `node-key.pem`.
    public var certificates: String
    /// trace, debug, info, notice, warning, error or critical.
    public var logLevel: String
    /// Where a LUN's path on this node differs from the name that the cluster has for it.
    public var devices: [String: String]
    /// The LUN simulator's control socket, and this node's path there, in a lab.
    public var reservationSocket: String?
    public var reservationPath: String?
    /// How lost nodes are fenced from LUNs without reservations.
    public var fence: Fence

    /// By node: the program that turns it off, see ``Fencing/FenceAgent``.
    public var fenceAgents: [String: FenceAgent]

    /// The hardware watchdog that resets this machine when it loses its membership; nil: none.
    public var watchdog: WatchdogConfiguration?

    public enum Fence: String, Codable, Sendable {
        /// Not at all.
        case none
        /// All nodes are processes of this machine: the lost one is killed. For labs only.
        case process
    }

    private enum CodingKeys: String, CodingKey {
        case node, cluster, root, state, socket, store, listen, certificates, logLevel
        case devices, reservationSocket, reservationPath, fence, fenceAgents, watchdog
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func text(_ key: CodingKeys, _ standard: String?) throws -> String {
            if let value = try container.decodeIfPresent(String.self, forKey: key) { return value }
            guard let standard else {
                throw NodeError("\"\(key.rawValue)\" is missing")
            }
            return standard
        }
        node = try text(.node, nil)
        cluster = try text(.cluster, "covolume")
        root = try text(.root, "/clusterstorage")
        state = try text(.state, "/run/covolume")
        socket = try text(.socket, "/run/covolume/covold.sock")
        store = try text(.store, "/run/covolume/store.sock")
        listen = try container.decodeIfPresent([String].self, forKey: .listen) ?? []
        certificates = try text(.certificates, "/etc/covolume/pki")
        logLevel = try text(.logLevel, "info")
        devices = try container.decodeIfPresent([String: String].self, forKey: .devices) ?? [:]
        reservationSocket = try container.decodeIfPresent(String.self, forKey: .reservationSocket)
        reservationPath = try container.decodeIfPresent(String.self, forKey: .reservationPath)
        fence = try container.decodeIfPresent(Fence.self, forKey: .fence) ?? .none
        fenceAgents =
            try container.decodeIfPresent([String: FenceAgent].self, forKey: .fenceAgents) ?? [:]
        watchdog = try container.decodeIfPresent(WatchdogConfiguration.self, forKey: .watchdog)
        if listen.isEmpty { throw NodeError("\"listen\" names no address, such as 10.0.0.1:7400") }
        for path in [root, state, socket, store, certificates] where !path.hasPrefix("/") {
            throw NodeError("\"\(path)\" is not an absolute path")
        }
    }

    /// Reads the file; every error names it.
    public static func load(_ path: String) throws -> NodeConfiguration {
        do {
            return try JSONDecoder().decode(
                Self.self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch let error as DecodingError {
            throw NodeError("\(path) is not a node's configuration: \(error)")
        } catch {
            throw NodeError("\(path): \(error)")
        }
    }
}

/// Why a daemon does not start, or an order is not carried out, in words.
public struct NodeError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
