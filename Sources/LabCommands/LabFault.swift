import ArgumentParser
import LabKit

/// `covol lab fault`.
struct LabFault: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fault",
        abstract: "Do something bad to a node of a lab, or undo it.",
        usage: """
            covol lab fault <directory> <node> storage fail|hang|late-write|release-late|restore
            covol lab fault <directory> <node> storage slow [--milliseconds <n>]
            covol lab fault <directory> <node> network cluster|client down|up
            covol lab fault <directory> <node> power off|on
            covol lab fault <directory> <node> daemon kill|stop|continue|start
            covol lab fault --list [--json]
            """,
        discussion: """
            Returns when the fault is in force. Storage and power faults need a lab that was made \
            with --simulated-lun. `covol lab status` shows what is in force.
            """)

    @Argument(help: "The lab's directory.", completion: .directory)
    var directory: String?

    @Argument(help: "The node, such as node2.")
    var node: String?

    @Argument(help: "What to do: see --list.")
    var fault: [String] = []

    @Option(help: "How much later a slow path's I/O reaches the LUN; 100 unless given.")
    var milliseconds: Int?

    @Flag(help: "Show every fault with a line about it.")
    var list = false

    @Flag(help: "Print the list as JSON.")
    var json = false

    func validate() throws {
        if list {
            guard node == nil else { throw ValidationError("--list goes without a node") }
            return
        }
        guard !json else { throw ValidationError("--json goes with --list") }
        guard directory != nil, node != nil, !fault.isEmpty else {
            throw ValidationError("a directory, a node and a fault are needed; --list shows all")
        }
    }

    func run() async throws {
        if list { return try printList() }
        guard let directory, let node else { return }
        let change = try LabKit.LabFault(words: fault, milliseconds: milliseconds)
        let lab = try Lab.open(directory: directory)
        try await lab.node(try lab.plan.node(named: node).number).apply(change)
    }

    private func printList() throws {
        if json { return try Terminal.printJSON(LabKit.LabFault.list) }
        print(Terminal.table(LabKit.LabFault.list.map { [$0.fault, $0.help] }))
    }
}
