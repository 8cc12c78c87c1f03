import ArgumentParser
import Management

/// `covol volume …`
struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume",
        abstract: "Add, rename, remove and see volumes.",
        subcommands: [
            VolumeAdd.self, VolumeRename.self, VolumeRemove.self, VolumeList.self,
            VolumeShow.self, VolumeState.self,
        ])
}

/// Checks a volume's name while the command line is read, so that a wrong one is a usage error.
func validateVolumeName(_ name: String) throws {
    do {
        try VolumeName.validate(name)
    } catch {
        throw ValidationError(error.message)
    }
}
