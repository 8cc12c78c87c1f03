import ArgumentParser
import ClusterAuthority

/// `covol cluster issue NODE --output DIR`
struct ClusterIssue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue",
        abstract: "Issue a node's key and certificate.",
        discussion: """
            Run it where the authority's key is, then copy the output directory's files to the node's \
            \(ClusterCommand.defaultDirectory), over a channel that you trust. It also renews: the \
            certificate of a node that has one is replaced.

            Example:
              covol cluster issue node2 --output /root/node2-pki
            """)

    @Argument(help: "The node's name.")
    var node: String

    @Option(help: ArgumentHelp("Where to write the node's files.", valueName: "path"))
    var output: String

    @Option(help: ArgumentHelp("Where the authority's key and certificate are.", valueName: "path"))
    var directory = ClusterCommand.defaultDirectory

    func validate() throws {
        try validateNodeName(node)
    }

    func run() async throws {
        let authority = try CertificateDirectory(path: absolutePath(directory)).loadAuthority()
        let target = CertificateDirectory(path: absolutePath(output))
        try target.store(authority.issueNodeCertificate(node: node))
        CommandOutput.current.write(
            "node \(node) of cluster \(authority.clusterName): \(target.nodeCertificatePath)")
    }
}
