import ArgumentParser
import ClusterAuthority

/// `covol cluster create NAME`
struct ClusterCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a new cluster's certificate authority.",
        discussion: """
            Writes the authority's key and certificate to the directory, and with --node a \
            certificate for that node too. No daemon is needed, and none is asked. An authority that \
            is there is never overwritten. Whoever holds ca-key.pem can be any node: keep a copy in \
            a safe place, and keep it from everybody else.

            Example:
              covol cluster create production --node node1
            """)

    @Argument(help: "The cluster's name.")
    var name: String

    @Option(help: ArgumentHelp("Where to write.", valueName: "path"))
    var directory = ClusterCommand.defaultDirectory

    @Option(help: "Issue a certificate for this node as well, in the same directory.")
    var node: String?

    func validate() throws {
        if let node { try validateNodeName(node) }
    }

    func run() async throws {
        let output = CommandOutput.current
        let directory = CertificateDirectory(path: absolutePath(directory))
        let authority = try directory.createAuthority(clusterName: name)
        output.write("cluster \(name) (\(authority.clusterID)): \(directory.authorityKeyPath)")
        if let node {
            try directory.store(authority.issueNodeCertificate(node: node))
            output.write("node \(node): \(directory.nodeCertificatePath)")
        }
    }
}
