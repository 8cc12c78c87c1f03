import ArgumentParser
import Management

/// `covol volume state`
struct VolumeState: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "state",
        abstract: "Show how every node reaches every volume.",
        discussion: """
            STATE is Direct (the node reads and writes the LUN itself), Redirected (the coordinator \
            does it for the node), Paused (operations wait) or Unavailable. REASON says why it is \
            not Direct, with a comma between several; it is Direct again when the last is gone. \
            DETAIL says what the node waits for, or what the operator said.

            Reasons: UserRequest (`covol volume redirect`), NoDiskConnectivity (the node's path to \
            the LUN failed; it is probed every second), Maintenance, Snapshot, FileSystemLimit, \
            NoCoordinator, Starting.

            Example:
              covol volume state --json | jq '.[] | select(.state != "Direct")'
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.list(await backend.volumeStates(), format)
    }
}
