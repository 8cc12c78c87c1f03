import ArgumentParser
import Management

/// `covol volume remove NAME`
struct VolumeRemove: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a volume out of the cluster and give its LUN back.",
        discussion: """
            No file is lost: afterwards plain mount(8) mounts the LUN anywhere. A volume that is in \
            use is not removed. The steps are printed on standard error; interrupting the command \
            does not stop the daemon's work.

            Example:
              covol volume remove images
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(name)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.removeVolume(name) { output.error($0) }
        output.write("\(name) is removed")
    }
}
