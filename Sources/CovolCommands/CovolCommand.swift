import ArgumentParser

/// The root of the command line, without the commands that only an executable may add.
public struct CovolCommand: AsyncParsableCommand {
    public static let configuration: CommandConfiguration = rootConfiguration(adding: [])

    public init() {}

    /// The root's configuration: this module's subcommands and some more.
    ///
    /// The executable adds `covol lab`, whose module nothing but an executable may import.
    public static func rootConfiguration(
        adding subcommands: [any ParsableCommand.Type]
    ) -> CommandConfiguration {
        CommandConfiguration(
            commandName: "covol",
            abstract: "Use and look after cluster shared volumes.",
            discussion: """
                Every command but `covol cluster create`, `covol cluster issue` and `covol lab` asks \
                the daemon of this node, covold, through its Unix socket.

                Exit status: 0 done; 1 not done, with the reason on standard error; 2 the command \
                line is wrong; 69 the daemon cannot be reached.

                Example:
                  covol volume add /dev/disk/by-id/wwn-0x6001405a --format
                  covol volume state
                """,
            subcommands: [
                VolumeCommand.self, MachineCommand.self, NodeCommand.self, FileCommand.self,
                StatsCommand.self,
                EventsCommand.self, ClusterCommand.self,
            ] + subcommands)
    }
}
