import ArgumentParser
import Management

/// `covol volume set NAME`
struct VolumeSet: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a volume's settings.",
        discussion: """
            --allow-unproven-failover yes lets another node take a volume over although nothing \
            proves that its lost coordinator can write no more: where the volume has no fence, or \
            where the fence failed. If the lost node does write, THE FILE SYSTEM IS DESTROYED. \
            Without it (the default) such a volume waits: direct I/O goes on, metadata operations \
            stand still until the node is back, or is fenced. `covol volume show` tells under \
            Failover what is set.

            A volume that waits now goes on as soon as it is set. To allow a single failover, make \
            sure that the lost node is off, set it to yes, and then back to no.

            Example:
              covol volume set images --allow-unproven-failover no
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @Option(
        help: ArgumentHelp(
            "Whether to fail over without a proven fence.", valueName: "yes|no"))
    var allowUnprovenFailover: YesNo?

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    private var settings: VolumeSettings {
        VolumeSettings(allowUnprovenFailover: allowUnprovenFailover.map { $0 == .yes })
    }

    func validate() throws {
        try validateVolumeName(name)
        try asUsage(settings.validate)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.show(try await backend.setVolume(name, settings), format)
    }
}

/// `yes` or `no` as an argument.
enum YesNo: String, ExpressibleByArgument, CaseIterable {
    case yes, no
}
