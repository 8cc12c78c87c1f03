import ArgumentParser
import Management

/// `covol vm …`
struct MachineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vm",
        abstract: "Run highly available virtual machines on the cluster's volumes.",
        discussion: """
            A machine's disks and configuration lie in a folder of its own on a volume, so any node \
            can run it. One node does at a time; when that node dies, another starts the machine \
            again, and while it lives, the machine can be moved without an interruption.

            Example:
              covol vm create web --volume images --image debian-12.qcow2 --memory 2G --cpus 2
              covol vm start web
              covol vm migrate web --to node2
            """,
        subcommands: [
            MachineCreate.self, MachineImport.self, MachineList.self, MachineShow.self,
            MachineStart.self, MachineStop.self, MachineReset.self, MachinePause.self,
            MachineResume.self, MachineMigrate.self, MachineSave.self, MachineRestore.self,
            MachineSet.self, MachineConsole.self, MachineRemove.self,
        ])
}

/// A command that has a machine do one thing, and says where it stands then.
protocol MachineOrderCommand: BackendCommand {
    var name: String { get }
    var format: FormatOptions { get }
    func order() throws -> MachineOrder
}

extension MachineOrderCommand {
    func validate() throws { try validateMachineName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.order(try order(), machine: name) { output.error($0) }
        let machine = try await backend.machine(named: name)
        if format.json { return try output.show(machine, format) }
        output.write(machine.sentence)
    }
}

extension MachineSummary {
    /// Where it stands, for people.
    var sentence: String {
        let place = node.map { " on \($0)" } ?? ""
        return "\(name) is \(state.lowercased())\(place)"
    }
}

func validateMachineName(_ name: String) throws {
    try asUsage { () throws(ManagementError) in try MachineName.validate(name) }
}

/// A size as people write it: `512M`, `4G`; K, M, G and T are powers of 1024.
struct SizeArgument: ExpressibleByArgument {
    var bytes: UInt64

    init?(argument: String) {
        var digits = Substring(argument)
        var shift: UInt64 = 0
        if let last = digits.last, !last.isNumber {
            guard let unit = "KMGT".firstIndex(of: Character(last.uppercased())) else { return nil }
            shift = UInt64("KMGT".distance(from: "KMGT".startIndex, to: unit) + 1) * 10
            digits = digits.dropLast()
        }
        guard !digits.isEmpty, let number = UInt64(digits), number > 0,
            number <= UInt64.max >> shift
        else { return nil }
        bytes = number << shift
    }
}

/// `4G` or `4G,format=qcow2`
struct DiskArgument: ExpressibleByArgument {
    var disk: MachineCreateRequest.Disk

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        guard let size = SizeArgument(argument: String(parts[0])), parts.count <= 2 else {
            return nil
        }
        disk = MachineCreateRequest.Disk(sizeBytes: size.bytes)
        guard parts.count == 2 else { return }
        let option = parts[1].split(separator: "=", omittingEmptySubsequences: false)
        guard option.count == 2, option[0] == "format",
            let format = MachineCreateRequest.Disk.Format(rawValue: String(option[1]))
        else { return nil }
        disk.format = format
    }
}

/// What `create`, `import` and `set` have in common.
struct MachineSettingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The guest's memory, such as 512M or 4G.", valueName: "size"))
    var memory: SizeArgument?

    @Option(help: ArgumentHelp("The guest's processors.", valueName: "count"))
    var cpus: Int?

    @Option(
        help: ArgumentHelp(
            "high, medium or low: who is started first after a failure; a drain moves low ones by "
                + "saved state.", valueName: "level"))
    var priority: String?

    @Option(
        help: ArgumentHelp(
            "Nodes that it is started on before all others, the first first; a comma between them, "
                + "nothing for none.", valueName: "nodes"))
    var preferredOwners: String?

    @Option(
        help: ArgumentHelp(
            "The only nodes that may have it; nothing for any.", valueName: "nodes"))
    var possibleOwners: String?

    @Option(
        help: ArgumentHelp(
            "Machines of one group are kept on different nodes where there are enough; nothing for "
                + "none.", valueName: "name"))
    var antiAffinity: String?

    var settings: MachineSettings {
        var settings = MachineSettings()
        settings.memoryBytes = memory?.bytes
        settings.cpus = cpus
        settings.priority = priority
        settings.preferredOwners = preferredOwners.map(Self.names)
        settings.possibleOwners = possibleOwners.map(Self.names)
        settings.antiAffinityGroup = antiAffinity
        return settings
    }

    private static func names(_ text: String) -> [String] {
        text.split(separator: ",").map(String.init)
    }

    func validate() throws { try asUsage(settings.validate) }
}
