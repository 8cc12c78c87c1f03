import ArgumentParser
import Management

/// `covol node drain NAME`
struct NodeDrain: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move everything off a node, for its maintenance.",
        discussion: """
            Machines of high and medium priority are migrated live, those of low priority by their \
            saved state; the volumes that it coordinates get other coordinators. The node gets \
            nothing new until `covol node resume`. Progress is printed on standard error; \
            interrupting the command does not stop the draining.

            Example:
              covol node drain node1
            """)

    @Argument(help: "The node's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateNodeName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.drainNode(name) { output.error($0) }
        output.write("\(name) is drained")
    }
}

/// `covol node resume NAME`
struct NodeResume: BackendCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let a drained node have machines and coordinators again.",
        discussion: """
            Example:
              covol node resume node1 --failback
            """)

    @Argument(help: "The node's name.")
    var name: String

    @Flag(help: "Move back the machines that were drained from it.") var failback = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws { try validateNodeName(name) }

    func perform(on backend: any ManagementBackend, output: CommandOutput) async throws {
        try await backend.resumeNode(name, failback: failback) { output.error($0) }
        output.write("\(name) is back in use")
    }
}
