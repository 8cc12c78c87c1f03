import ArgumentParser
import Foundation
import Management
import VolumeModel

/// `covol volume add DEVICE`
struct VolumeAdd: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Make a LUN a volume of the cluster.",
        discussion: """
            An XFS or ext4 file system that is on DEVICE is adopted as it is. Anything else is \
            refused with what was found, and so is a file system that cannot be shared safely. \
            --format makes a file system on a blank DEVICE. What is on a DEVICE that is not blank \
            is overwritten only where --overwrite names it a second time, and never where it is \
            mounted or another cluster's.

            Returns when every node that is up shows the volume. The steps are printed on standard \
            error; interrupting the command does not stop the daemon's work.

            Example:
              covol volume add /dev/disk/by-id/wwn-0x6001405a --name images --format
            """)

    @Argument(help: "This node's path to the LUN, a block device.")
    var device: String

    @Option(help: "The volume's name. The default is the first free one of Volume1, Volume2, …")
    var name: String?

    @Option(
        help: ArgumentHelp(
            "The file system to make with --format (default: xfs), or the only one to accept.",
            valueName: "xfs|ext4"))
    var filesystem: FileSystemOption?

    @Flag(help: "Make a new file system on the device.")
    var format = false

    @Option(
        help: ArgumentHelp(
            "With --format: DEVICE once more, whose contents may be lost.", valueName: "device"))
    var overwrite: String?

    @OptionGroup var output: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if device.isEmpty { throw ValidationError("DEVICE needs a path") }
        if let name { try validateVolumeName(name) }
        if let overwrite {
            guard format else { throw ValidationError("--overwrite goes with --format") }
            guard overwrite == device else {
                throw ValidationError(
                    "--overwrite \(overwrite) names another device than \(device)")
            }
        }
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let request = VolumeAddRequest(
            device: absolutePath(device), name: name, filesystem: filesystem?.kind, format: format,
            overwrite: overwrite != nil)
        let volume = try await backend.addVolume(request) { output.error($0) }
        if self.output.json {
            try output.show(volume, self.output)
        } else {
            output.write("\(volume.name) is at \(volume.path) on every node")
        }
    }
}

/// `xfs` or `ext4` as an argument.
enum FileSystemOption: String, ExpressibleByArgument, CaseIterable {
    case xfs, ext4

    var kind: FileSystemKind {
        switch self {
        case .xfs: .xfs
        case .ext4: .ext4
        }
    }
}
