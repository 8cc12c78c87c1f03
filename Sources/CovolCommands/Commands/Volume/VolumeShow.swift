import ArgumentParser
import Management

/// `covol volume show NAME`
struct VolumeShow: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one volume.",
        discussion: """
            Fence says how a node that fails is kept from writing to the LUN.

            Example:
              covol volume show images
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(name)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.show(await backend.volume(named: name), format)
    }
}
