import ArgumentParser
import LabKit

/// `covol lab status`.
struct LabStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show a lab's processes, addresses and volume.")

    @OptionGroup var lab: LabArguments

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let status = try await Lab.open(directory: lab.directory).status()
        if json {
            try Terminal.printJSON(status)
        } else {
            print(Self.text(status))
        }
    }

    static func text(_ status: LabKit.LabStatus) -> String {
        var rows = [
            ["NODE", "PID", "RUNS", "CLUSTER", "CLIENT", "FAULTS", "VOLUME", "STATE", "REASON"]
        ]
        rows.append([
            "store", pid(status.storePID), status.isStoreAlive ? "yes" : "no", "-", "-", "-", "-",
        ])
        if let simulator = status.simulatorPID {
            rows.append([
                "lun", pid(simulator), status.isSimulatorAlive ? "yes" : "no", "-", "-", "-", "-",
            ])
        }
        for node in status.nodes {
            let start = [
                node.name, pid(node.pid), node.isStopped ? "stopped" : node.isAlive ? "yes" : "no",
                node.clusterAddress, node.clientAddress,
                node.faults.isEmpty ? "-" : node.faults.joined(separator: ", "),
            ]
            if node.volumes.isEmpty {
                rows.append(start + ["-", "-", node.problem ?? "no volume"])
            }
            for row in node.volumes {
                rows.append(start + [row.volume, row.state, row.reason ?? ""])
            }
        }
        return """
            \(status.cluster) in \(status.directory)
            LUN \(status.lun) (\(status.fileSystem.rawValue), \(status.sizeBytes >> 20) MiB)

            \(Terminal.table(rows))
            """
    }

    private static func pid(_ pid: Int32?) -> String { pid.map(String.init) ?? "-" }
}
