import ArgumentParser
import Management

/// `covol node forget NAME`
struct NodeForget: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Remove a lost node from the cluster's records.",
        discussion: """
            For a node that will not come back. Refused while it is up, and while nothing proves \
            that it can write to no volume any more. Its certificate stays valid until it expires: \
            if its machine may be in other hands, make a new authority (`covol cluster create`).

            Example:
              covol node forget node3
            """)

    @Argument(help: "The node's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateNodeName(name)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.forgetNode(name)
        output.write("\(name) is forgotten")
    }
}
