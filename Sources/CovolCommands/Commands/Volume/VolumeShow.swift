import ArgumentParser
import Management

/// `covol volume show NAME`
struct VolumeShow: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one volume.",
        discussion: """
            Fence says how a node that fails is kept from writing to the LUN: reservations (SCSI-3 \
            persistent reservations), agent (a power fence), watchdog, lab, or none. Failover says \
            what happens when the coordinator is lost: Automatic (another node takes over once the \
            fence is proven), Unproven (it takes over in any case, by `covol volume set`) or Manual \
            (none takes over by itself). Redirected says why all nodes are.

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
