import ArgumentParser
import Management

/// `covol vm set NAME`
struct MachineSet: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a virtual machine's settings.",
        discussion: """
            Memory and processors change with the machine's next start, everything else at once.

            Example:
              covol vm set web --priority high --preferred-owners node1,node2
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @OptionGroup var settings: MachineSettingOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateMachineName(name)
        if settings.settings == MachineSettings() {
            throw ValidationError("there is nothing to set")
        }
    }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.setMachine(name, settings.settings)
        try output.show(try await backend.machine(named: name), format)
    }
}

/// `covol vm remove NAME`
struct MachineRemove: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Delete a virtual machine, its disks included.",
        discussion: """
            Its folder goes with everything in it. Refused while the machine is on. --yes answers the \
            question that a terminal is asked otherwise.

            Example:
              covol vm remove web --yes
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @Flag(help: "Delete without asking.") var yes = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateMachineName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        let machine = try await backend.machine(named: name)
        guard yes || confirms("delete \(machine.path) with its disks? [y/N] ", output) else {
            throw ManagementError.refused("\(name) is kept; --yes deletes it without asking")
        }
        try await backend.removeMachine(name) { output.error($0) }
        output.write("\(name) is removed")
    }

    private func confirms(_ question: String, _ output: CommandOutput) -> Bool {
        output.error(question)
        return ["y", "yes"].contains(readLine()?.lowercased())
    }
}
