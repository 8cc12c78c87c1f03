import ArgumentParser
import Management

/// `covol volume …`
struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume",
        abstract: "Add, see, redirect, move and remove volumes.",
        subcommands: [
            VolumeAdd.self, VolumeRename.self, VolumeRemove.self, VolumeList.self,
            VolumeShow.self, VolumeState.self, VolumeRedirect.self, VolumeResume.self,
            VolumeMove.self, VolumeSet.self,
        ])
}

/// Checks a volume's name while the command line is read, so that a wrong one is a usage error.
func validateVolumeName(_ name: String) throws {
    try asUsage { () throws(ManagementError) in try VolumeName.validate(name) }
}

/// What the daemon would refuse is an error of the command line.
func asUsage(_ check: () throws(ManagementError) -> Void) throws {
    do throws(ManagementError) {
        try check()
    } catch {
        throw ValidationError(error.message)
    }
}
