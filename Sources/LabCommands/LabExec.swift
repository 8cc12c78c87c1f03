import ArgumentParser
import LabKit

/// `covol lab exec`.
struct LabExec: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command on a node.",
        usage: "covol lab exec <directory> <node> -- <command> ...",
        discussion: """
            The command runs in the node's network namespace and sees this machine's files. \
            COVOL_SOCKET, COVOL_NODE and COVOL_VOLUMES say which node it is, so that `covol` in \
            it is bound to that node.
            """)

    @OptionGroup var lab: LabArguments

    @Argument(help: "The node, such as node2.")
    var node: String

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String]

    func validate() throws {
        guard !command.isEmpty else {
            throw ValidationError("the command comes after --, such as: -- covol volume list")
        }
    }

    func run() throws {
        let lab = try Lab.open(directory: lab.directory)
        let plan = try lab.plan.node(named: node)
        try lab.node(plan.number).replaceProcess(with: command)
    }
}
