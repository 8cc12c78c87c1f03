import ArgumentParser
import Management

/// `covol volume redirect NAME`
struct VolumeRedirect: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "redirect",
        abstract: "Put a volume into redirected mode, on every node.",
        discussion: """
            From then on nobody but the coordinator reads or writes the LUN: every node's I/O goes \
            over the cluster network. Files stay open and nothing fails; it is slower. A backup of \
            the LUN, a snapshot of the array's or a repair may need it. Returns when the last \
            direct I/O has ended. The steps are printed on standard error; interrupting the command \
            does not stop the daemon's work.

            `covol volume resume` takes it back. Other reasons that a node has (see `covol volume \
            state`) are not touched by either.

            Example:
              covol volume redirect images --reason "array snapshot at 22:00"
            """)

    @Argument(help: "The volume's name.")
    var name: String

    @Option(help: "Why, for `covol volume state`, `covol volume show` and `covol events`.")
    var reason: String?

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(name)
        try asUsage(VolumeRedirectRequest(reason: reason).validate)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.redirectVolume(name, reason: reason) { output.error($0) }
        output.write("\(name) is redirected on every node")
    }
}
