import ArgumentParser
import Foundation
import Management

/// `covol vm create NAME`
struct MachineCreate: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a virtual machine on a volume.",
        discussion: """
            Makes the folder NAME on the volume, with the machine's configuration (machine.json) and \
            its disk. What it boots is its disk, or one of: an image that is there already, which is copied \
            (--image; raw, qcow2, vmdk, vhdx and what else qemu-img reads), a CD (--iso, which stays \
            where it is: on a volume, so that every node has it), or a kernel (--kernel, --initrd, \
            --append; copied). The machine is not started.

            Example:
              covol vm create web --volume images --image debian-12.qcow2 --disk 20G
              covol vm create new --volume images --disk 8G,format=qcow2 --iso \
            /clusterstorage/images/debian.iso
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @Option(help: ArgumentHelp("The volume that it lives on.", valueName: "name"))
    var volume: String

    @Option(
        help: ArgumentHelp(
            "A new disk; or what an image is grown to. The format is raw (the default) or qcow2.",
            valueName: "size[,format=raw|qcow2]"))
    var disk: DiskArgument?

    @Option(help: ArgumentHelp("A kernel to boot.", valueName: "file")) var kernel: String?
    @Option(help: ArgumentHelp("Its initial RAM disk.", valueName: "file")) var initrd: String?
    @Option(help: ArgumentHelp("Its command line.", valueName: "text")) var append: String?
    @Option(help: ArgumentHelp("A disk image to start from.", valueName: "file"))
    var image: String?
    @Option(help: ArgumentHelp("A CD to boot.", valueName: "file")) var iso: String?

    @Option(
        help: ArgumentHelp(
            "The guest's network: user (behind the node's address), bridge=NAME (a bridge that "
                + "every node has), or none.", valueName: "kind"))
    var network = "user"

    @Option(
        help: ArgumentHelp(
            "kvm or tcg (emulation). The default is KVM where the node has it.", valueName: "name"))
    var accelerator: String?

    @OptionGroup var settings: MachineSettingOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateMachineName(name)
        try validateVolumeName(volume)
        guard [kernel, image, iso].count(where: { $0 != nil }) <= 1 else {
            throw ValidationError("it boots one of --image, --iso and --kernel, not several")
        }
        guard disk != nil || kernel != nil || image != nil || iso != nil else {
            throw ValidationError("name a --disk, or what it boots: --image, --iso or --kernel")
        }
        guard kernel != nil || (initrd == nil && append == nil) else {
            throw ValidationError("--initrd and --append belong to --kernel")
        }
        try asUsage { () throws(ManagementError) in try request.validate() }
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await make(request, on: backend, format, output)
    }

    private var request: MachineCreateRequest {
        var request = MachineCreateRequest(
            name: name, volume: volume, settings: settings.settings)
        request.disk = disk?.disk
        request.kernel = kernel.map(absolutePath)
        request.initrd = initrd.map(absolutePath)
        request.append = append
        request.image = image.map(absolutePath)
        request.iso = iso.map(absolutePath)
        request.network = network
        request.accelerator = accelerator
        return request
    }
}

/// `covol vm import NAME FILE`
struct MachineImport: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a virtual machine from an image of another product.",
        discussion: """
            The image, raw, qcow2, vmdk, vhdx or what else qemu-img reads, is copied to the volume; \
            the original stays as it is. Turn its machine off before.

            Example:
              covol vm import mail /mnt/esx/mail.vmdk --volume images --memory 4G --cpus 2
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @Argument(help: ArgumentHelp("The image.", valueName: "file"))
    var image: String

    @Option(help: ArgumentHelp("The volume that it is to live on.", valueName: "name"))
    var volume: String

    @Option(
        help: ArgumentHelp(
            "The copy's size, if it is to be larger, and its format: raw (the default) or qcow2.",
            valueName: "size[,format=raw|qcow2]"))
    var disk: DiskArgument?

    @OptionGroup var settings: MachineSettingOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateMachineName(name)
        try validateVolumeName(volume)
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        var request = MachineCreateRequest(
            name: name, volume: volume, settings: settings.settings)
        request.disk = disk?.disk
        request.image = absolutePath(image)
        try await make(request, on: backend, format, output)
    }
}

private func make(
    _ request: MachineCreateRequest, on backend: any ManagementBackend, _ format: FormatOptions,
    _ output: CommandOutput
) async throws {
    try await backend.createMachine(request) { output.error($0) }
    let machine = try await backend.machine(named: request.name)
    if format.json { return try output.show(machine, format) }
    output.write(
        "\(request.name) is made in \(machine.path); covol vm start \(request.name) starts it")
}
