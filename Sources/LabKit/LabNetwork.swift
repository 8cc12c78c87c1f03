/// Makes a lab's namespaces, bridges and veth pairs.
struct LabNetwork {
    let plan: LabPlan

    /// The switch has one bridge per network; each node a device `cluster` and one `client`.
    func up() throws(LabError) {
        for name in [plan.switchNamespace] + plan.nodes.map(\.namespace) {
            try Command(["ip", "netns", "add", name]).runChecked()
        }
        try batch(plan.switchNamespace, switchCommands)
        for node in plan.nodes {
            try batch(node.namespace, commands(for: node))
        }
    }

    var switchCommands: [String] {
        var lines = ["link set lo up"]
        for network in ["cluster", "client"] {
            lines.append("link add \(network) type bridge")
            lines.append("link set \(network) up")
            for node in plan.nodes {
                let port = "\(network)\(node.number)"
                lines.append(
                    "link add \(port) type veth peer name \(network) netns \(node.namespace)")
                lines.append("link set \(port) master \(network) up")
            }
        }
        return lines
    }

    func commands(for node: LabNodePlan) -> [String] {
        [
            "link set lo up",
            "addr add \(node.clusterAddress)/24 dev cluster",
            "link set cluster up",
            "addr add \(node.clientAddress)/24 dev client",
            "link set client up",
        ]
    }

    private func batch(_ namespace: String, _ lines: [String]) throws(LabError) {
        let input = Array((lines.joined(separator: "\n") + "\n").utf8)
        try Command(["ip", "-n", namespace, "-batch", "-"], input: input).runChecked()
    }
}
