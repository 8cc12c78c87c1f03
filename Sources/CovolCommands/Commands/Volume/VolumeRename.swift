import ArgumentParser
import Management

/// `covol volume rename OLD NEW`
struct VolumeRename: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Give a volume another name, on every node.",
        discussion: """
            The volume's directory changes its name with it. Files that are open stay open.

            Example:
              covol volume rename Volume1 images
            """)

    @Argument(help: "The volume's name now.")
    var old: String

    @Argument(help: "Its new name: 1 to 64 of A-Z a-z 0-9 . _ - and not starting with . or -")
    var new: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateVolumeName(old)
        try validateVolumeName(new)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let volume = try await backend.renameVolume(old, to: new)
        output.write("\(old) is now \(volume.name) at \(volume.path)")
    }
}
