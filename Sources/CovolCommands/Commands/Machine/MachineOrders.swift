import ArgumentParser
import Management

/// `covol vm start NAME`
struct MachineStart: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a virtual machine, or go on from its saved state.",
        discussion: """
            The node is the first preferred owner that is up and has the memory, else the one with \
            the most room. From then on the cluster keeps the machine running, there or elsewhere.

            Example:
              covol vm start web --on node2
            """)

    @Argument(help: "The machine's name.") var name: String
    @Option(help: ArgumentHelp("The node; the cluster chooses one otherwise.", valueName: "node"))
    var on: String?
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .start(node: on) }
}

/// `covol vm stop NAME`
struct MachineStop: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Shut a virtual machine down.",
        discussion: """
            The guest is asked to shut down (ACPI power button); if it has not after a minute, the \
            plug is pulled. --force pulls it at once, also while a stop is under way.

            Example:
              covol vm stop web
            """)

    @Argument(help: "The machine's name.") var name: String
    @Flag(help: "Pull the plug.") var force = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .stop(isForced: force) }
}

/// `covol vm reset NAME`
struct MachineReset: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Press a virtual machine's reset button.",
        discussion: """
            The guest is not asked.

            Example:
              covol vm reset web
            """)

    @Argument(help: "The machine's name.") var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .reset }
}

/// `covol vm pause NAME`
struct MachinePause: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Stop a virtual machine's processors.",
        discussion: """
            It keeps its memory and its node; covol vm resume lets it go on.

            Example:
              covol vm pause web
            """)

    @Argument(help: "The machine's name.") var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .pause }
}

/// `covol vm resume NAME`
struct MachineResume: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a paused virtual machine go on.",
        discussion: """
            Example:
              covol vm resume web
            """)

    @Argument(help: "The machine's name.") var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .resume }
}

/// `covol vm migrate NAME`
struct MachineMigrate: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Move a running virtual machine to another node.",
        discussion: """
            Live: its memory is sent while it runs, and it stands still for a moment at the end; the \
            progress, the rate at which the guest changes its memory, and the expected blackout are \
            printed on standard error. --quick saves its state to the volume and goes on from it on \
            the other node: less work, and an outage of seconds. Whatever fails, one copy runs on. \
            Interrupting the command does not stop the migration; --cancel does.

            Example:
              covol vm migrate web --to node3
              covol vm migrate web --cancel
            """)

    @Argument(help: "The machine's name.") var name: String
    @Option(help: ArgumentHelp("The node; the cluster chooses one otherwise.", valueName: "node"))
    var to: String?
    @Flag(help: "Move it by its saved state.") var quick = false
    @Flag(help: "Stop a migration that is under way; the machine stays where it is.")
    var cancel = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        try validateMachineName(name)
        if let to { try validateNodeName(to) }
        if cancel, quick || to != nil {
            throw ValidationError("--cancel goes with nothing else")
        }
    }

    func order() -> MachineOrder {
        cancel ? .cancelMigration : .migrate(node: to, isQuick: quick)
    }
}

/// `covol vm save NAME`
struct MachineSave: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "save",
        abstract: "Save a running virtual machine's state to its volume and turn it off.",
        discussion: """
            covol vm restore goes on from there, on any node.

            Example:
              covol vm save web
            """)

    @Argument(help: "The machine's name.") var name: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { .save }
}

/// `covol vm restore NAME`
struct MachineRestore: MachineOrderCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Go on from a virtual machine's saved state.",
        discussion: """
            --discard forgets the state instead, as if the plug had been pulled when it was saved: \
            the next start is a boot.

            Example:
              covol vm restore web --on node2
            """)

    @Argument(help: "The machine's name.") var name: String
    @Option(help: ArgumentHelp("The node; the cluster chooses one otherwise.", valueName: "node"))
    var on: String?
    @Flag(help: "Forget the saved state.") var discard = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var connection: ConnectionOptions

    func order() -> MachineOrder { discard ? .discard : .start(node: on) }
}
