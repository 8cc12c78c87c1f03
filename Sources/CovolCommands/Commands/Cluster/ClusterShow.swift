import ArgumentParser
import Management

/// `covol cluster show`
struct ClusterShow: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the cluster that this node belongs to.",
        discussion: """
            Example:
              covol cluster show
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.show(await backend.cluster(), format)
    }
}
