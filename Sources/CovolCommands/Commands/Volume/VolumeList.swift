import ArgumentParser
import Management

/// `covol volume list`
struct VolumeList: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the cluster's volumes.",
        discussion: """
            PATH and DEVICE are this node's. A dash in USED means that no coordinator can tell now.

            Example:
              covol volume list --json | jq -r '.[].name'
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.list(await backend.volumes(), format)
    }
}
