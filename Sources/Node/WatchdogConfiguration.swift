import ClusterCore
import Fencing

/// The watchdog of a node, as a fence of last resort: the node is reset when it loses its membership,
/// and the others wait until that must have happened.
public struct WatchdogConfiguration: Codable, Sendable {
    /// A hardware watchdog that no other program has open.
    public var device: String
    /// It resets the machine so long after the last renewal of the membership; longer than two
    /// renewals.
    public var timeoutSeconds: Int
    /// The longest that I/O can wait in the queues between this node and the LUN's storage.
    public var queueSeconds: Double

    private enum CodingKeys: String, CodingKey {
        case device, timeoutSeconds, queueSeconds
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        device = try container.decodeIfPresent(String.self, forKey: .device) ?? "/dev/watchdog"
        timeoutSeconds = try container.decodeIfPresent(Int.self, forKey: .timeoutSeconds) ?? 10
        queueSeconds = try container.decodeIfPresent(Double.self, forKey: .queueSeconds) ?? 60
        let renewalSeconds = Double(ClusterTimings().renewalNanoseconds) / 1e9
        guard Double(timeoutSeconds) > 2 * renewalSeconds, timeoutSeconds <= 600 else {
            throw NodeError(
                "\"timeoutSeconds\" of the watchdog: from \(Int(2 * renewalSeconds) + 1) to 600")
        }
        guard queueSeconds >= 0, queueSeconds <= 3600 else {
            throw NodeError("\"queueSeconds\" of the watchdog: from 0 to 3600")
        }
    }

    /// How long the others wait for the reset, from when the membership has ended.
    var waitSeconds: Double {
        WatchdogFence.fullWaitSeconds(
            leaseSeconds: Double(ClusterTimings().leaseNanoseconds) / 1e9,
            watchdogTimeoutSeconds: Double(timeoutSeconds), queueSeconds: queueSeconds)
    }

    /// Opens it, which starts it.
    func start() throws -> Watchdog {
        try Watchdog(LinuxWatchdogDevice(path: device), timeoutSeconds: timeoutSeconds)
    }
}
