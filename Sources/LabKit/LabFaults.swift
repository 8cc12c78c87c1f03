import Foundation

/// The faults that are in force in a lab, looked up where they are made.
struct LabFaults: Sendable {
    /// By the path's name.
    private var paths: [String: LUNControl.Path] = [:]
    /// The switch's ports that are down, such as `cluster2`.
    private var downPorts: Set<String> = []

    /// What cannot be found out counts as no fault: the processes' states tell of it.
    init(of lab: Lab) async {
        if let status = try? await lab.lunControl?.status() {
            for path in status.paths { paths[path.name] = path }
        }
        let words = ["ip", "-json", "-n", lab.plan.switchNamespace, "link", "show"]
        if let result = try? await Command(words, timeoutSeconds: 10).run() {
            downPorts = Self.downPorts(Data(result.stdoutBytes))
        }
    }

    init(paths: [LUNControl.Path], downPorts: Set<String>) {
        for path in paths { self.paths[path.name] = path }
        self.downPorts = downPorts
    }

    private struct Link: Decodable {
        var ifname: String
        var flags: [String]
    }

    static func downPorts(_ json: Data) -> Set<String> {
        let links = (try? JSONDecoder().decode([Link].self, from: json)) ?? []
        return Set(links.filter { !$0.flags.contains("UP") }.map(\.ifname))
    }

    func of(_ node: LabNode) -> [String] {
        of(number: node.plan.number, name: node.name, isStopped: node.daemon?.isStopped ?? false)
    }

    func of(number: Int, name: String, isStopped: Bool) -> [String] {
        var faults: [String] = []
        if let path = paths[name] {
            switch path.fault {
            case "ok": break
            case "cut": faults.append("power off")
            case "slow": faults.append("storage slow \(path.milliseconds ?? 0) ms")
            default: faults.append("storage \(path.fault)")
            }
            if let late = path.lateWrite { faults.append("storage late-write \(late)") }
        }
        for network in LabFault.Network.allCases
        where downPorts.contains("\(network.rawValue)\(number)") {
            faults.append("network \(network.rawValue) down")
        }
        if isStopped { faults.append("daemon stop") }
        return faults
    }
}
