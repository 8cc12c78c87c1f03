import ArgumentParser
import Management

/// `covol volume resume NAME`
struct VolumeResume: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "End the redirected mode that `covol volume redirect` began.",
        discussion: """
            Each node goes back to direct I/O unless it has another reason not to, which `covol \
            volume state` shows. Does nothing to a volume that was not redirected by request. The \
            steps are printed on standard error.

            Example:
              covol volume resume images
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(name)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.resumeVolume(name) { output.error($0) }
        output.write("\(name) is no longer redirected by request")
    }
}
