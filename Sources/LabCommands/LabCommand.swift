import ArgumentParser

/// `covol lab`: a whole cluster on this machine.
public struct LabCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Run a whole cluster on this machine.",
        discussion: """
            Each node of a lab has a network namespace and a daemon of its own; all share one LUN, \
            which is an image file or, with --simulated-lun, a simulated LUN with a path for each \
            node, that faults can be put on. A node's view of the volume is DIR/nodeN/Volume1.
            """,
        subcommands: [
            LabUp.self, LabExec.self, LabStatus.self, LabFault.self, LabDown.self,
            LabSweep.self,
        ])

    public init() {}
}

/// What every command about one lab takes.
struct LabArguments: ParsableArguments {
    @Argument(help: "The lab's directory.", completion: .directory)
    var directory: String
}
