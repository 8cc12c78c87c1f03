import ArgumentParser
import Management

/// `covol volume move NAME`
struct VolumeMove: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Make another node a volume's coordinator.",
        discussion: """
            Direct I/O of every node goes on all along; files stay open and locks are kept. What \
            changes metadata (creating, extending, renaming, a first write) waits for a moment. \
            Move a volume's coordinator away before its node is taken down. The steps are printed on \
            standard error; interrupting the command does not stop the daemon's work.

            Example:
              covol volume move images --to node2
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @Option(
        help: ArgumentHelp(
            "The new coordinator. The default is a node with a path to the LUN, and of these the "
                + "one that coordinates the fewest volumes.",
            valueName: "node"))
    var to: String?

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(name)
        if let to { try validateNodeName(to) }
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let volume = try await backend.moveVolume(name, to: to) { output.error($0) }
        if format.json { return try output.show(volume, format) }
        output.write(
            "\(volume.name) is coordinated by \(volume.coordinator ?? "no node") "
                + "(epoch \(volume.epoch))")
    }
}
