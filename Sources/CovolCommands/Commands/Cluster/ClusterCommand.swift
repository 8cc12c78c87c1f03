import ArgumentParser
import ClusterAuthority

/// `covol cluster …`
struct ClusterCommand: AsyncParsableCommand {
    static let defaultDirectory = "/etc/covolume/pki"

    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Make a cluster, admit nodes to it, and see it.",
        subcommands: [ClusterCreate.self, ClusterIssue.self, ClusterShow.self])
}

/// Checks a node's name while the command line is read, before anything is written.
func validateNodeName(_ name: String) throws {
    guard AuthorityNames.isLabel(name) else {
        throw ValidationError(
            "\(name.debugDescription) cannot be a node's name: use 1 to "
                + "\(AuthorityLimits.labelMaximumBytes) lower-case letters, digits and inner hyphens"
        )
    }
}
