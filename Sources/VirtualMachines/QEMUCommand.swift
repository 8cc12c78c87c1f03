import Foundation
import MachineSupervision

/// The command line of a machine's QEMU.
public struct QEMUCommand: Sendable {
    public static let program = "qemu-system-x86_64"

    public var configuration: MachineConfiguration
    /// The machine's folder, as this node sees it.
    public var folder: String
    public var directory: MachineRunDirectory
    /// It waits for a stream instead of booting.
    public var isIncoming: Bool

    public init(
        configuration: MachineConfiguration, folder: String, directory: MachineRunDirectory,
        isIncoming: Bool
    ) {
        self.configuration = configuration
        self.folder = folder
        self.directory = directory
        self.isIncoming = isIncoming
    }

    /// With the program itself. The processors stand still until the monitor lets them run.
    public var arguments: [String] {
        let configuration = configuration
        var arguments = [
            Self.program, "-name", configuration.name, "-nodefaults", "-no-user-config", "-display",
            "none", "-S", "-machine", "q35,accel=\(accelerator.rawValue)", "-cpu",
            accelerator == .kvm ? "host,migratable=on" : "max", "-smp",
            String(configuration.cpus), "-m", "\(configuration.memoryBytes >> 20)M",
            "-chardev", "socket,id=monitor,path=\(escaped(directory.monitor)),server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
            "-chardev",
            "socket,id=console,path=\(escaped(directory.console)),server=on,wait=off,"
                + "logfile=\(escaped(directory.consoleLog)),logappend=on",
            "-serial", "chardev:console",
        ]
        for (number, disk) in configuration.disks.enumerated() {
            arguments += [
                "-blockdev",
                "driver=file,node-name=file\(number),filename=\(escaped(path(disk.file))),"
                    + "cache.direct=on,aio=io_uring,locking=on",
                "-blockdev",
                "driver=\(disk.format.rawValue),node-name=disk\(number),file=file\(number)",
                // A full or lost volume halts the guest instead of telling it of an error.
                "-device",
                "virtio-blk-pci,drive=disk\(number),bootindex=\(number + 1),werror=stop,rerror=stop",
            ]
        }
        if let iso = configuration.iso {
            arguments += [
                "-blockdev",
                "driver=file,node-name=cdfile,filename=\(escaped(path(iso))),read-only=on",
                "-blockdev", "driver=raw,node-name=cd,file=cdfile,read-only=on",
                "-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=cd,bootindex=0",
            ]
        }
        if let kernel = configuration.kernel { arguments += ["-kernel", path(kernel)] }
        if let initrd = configuration.initrd { arguments += ["-initrd", path(initrd)] }
        if let append = configuration.append { arguments += ["-append", append] }
        arguments += network
        if isIncoming { arguments += ["-incoming", "defer"] }
        return arguments
    }

    private var network: [String] {
        let device = ["-device", "virtio-net-pci,netdev=net,mac=\(configuration.macAddress)"]
        if configuration.network == "user" { return ["-netdev", "user,id=net"] + device }
        guard configuration.bridge != nil else { return [] }
        let script = escaped(directory.networkScript)
        return ["-netdev", "tap,id=net,script=\(script),downscript=no"] + device
    }

    private var accelerator: MachineConfiguration.Accelerator {
        configuration.accelerator ?? (access("/dev/kvm", R_OK | W_OK) == 0 ? .kvm : .tcg)
    }

    private func path(_ file: String) -> String {
        file.hasPrefix("/") ? file : folder + "/" + file
    }

    /// A comma ends a value unless it is doubled.
    private func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: ",", with: ",,")
    }
}
