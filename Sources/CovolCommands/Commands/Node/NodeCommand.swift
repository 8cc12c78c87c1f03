import ArgumentParser

/// `covol node …`
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "See the cluster's nodes, and forget lost ones.",
        subcommands: [NodeList.self, NodeForget.self])
}
