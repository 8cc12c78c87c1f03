import ArgumentParser

/// `covol node …`
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "See the cluster's nodes, empty them for maintenance, forget lost ones.",
        subcommands: [NodeList.self, NodeDrain.self, NodeResume.self, NodeForget.self])
}
