import ArgumentParser
import Management

/// `covol node list`
struct NodeList: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the cluster's nodes.",
        discussion: """
            STATE is Up, Starting (a member that does not serve every volume yet), Down (not a \
            member) or Fenced (not a member, and proven unable to write to any volume). INCARNATION \
            is the life of the node's daemon.

            Example:
              covol node list
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.list(await backend.nodes(), format)
    }
}
