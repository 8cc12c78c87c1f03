import ArgumentParser
import Management

/// `covol stats`
struct StatsCommand: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Count what every node did on every volume.",
        discussion: """
            Counted since each node's daemon started. D- columns count what a node read and wrote \
            on the LUN itself, R- columns what the coordinator read and wrote for it; READS and \
            WRITES are operations, READ and WRITTEN amounts of data. METADATA counts the other \
            operations that the node sent to the coordinator, RECALLS the layouts that it gave back \
            because it was asked to.

            Example:
              covol stats --json | jq '[.[].redirectedWriteBytes] | add'
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.list(await backend.statistics(), format)
    }
}
