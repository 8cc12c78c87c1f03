import ArgumentParser
import Management

/// `covol vm list`
struct MachineList: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the cluster's virtual machines.",
        discussion: """
            STATE is Off, Waiting (for a node that can have it), Starting, Running, Paused, Halted \
            (paused because its storage failed or is full; it goes on by itself), Migrating, Saving, \
            Saved, Stopping or Failed. DETAIL says why.

            Example:
              covol vm list --json | jq -r '.[] | select(.state == "Running").name'
            """)

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.list(await backend.machines(), format)
    }
}

/// `covol vm show NAME`
struct MachineShow: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one virtual machine.",
        discussion: """
            Example:
              covol vm show web
            """)

    @Argument(help: "The machine's name.")
    var name: String

    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateMachineName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try output.show(try await backend.machine(named: name), format)
    }
}

extension MachineSummary: ListDisplayable, DetailDisplayable {
    static var tableColumns: [TableColumn] {
        [
            .text("NAME"), .text("STATE"), .text("NODE"), .text("VOLUME"), .number("CPUS"),
            .number("MEMORY"), .text("PRIORITY"), .text("DETAIL"),
        ]
    }

    var tableRow: [String] {
        [
            name, state, node ?? "", volume, String(cpus), byteCountText(memoryBytes), priority,
            detail ?? "",
        ]
    }

    var details: [(label: String, value: String)] {
        [
            ("Name", name), ("State", state), ("Detail", detail ?? ""), ("Node", node ?? ""),
            ("Target", target ?? ""), ("Volume", volume), ("Path", path), ("CPUs", String(cpus)),
            ("Memory", byteCountText(memoryBytes)), ("Priority", priority),
            ("Preferred owners", preferredOwners.joined(separator: ", ")),
            ("Possible owners", possibleOwners.joined(separator: ", ")),
            ("Anti-affinity", antiAffinityGroup ?? ""), ("Epoch", String(epoch)),
            ("Console", console ?? ""),
        ]
    }
}
