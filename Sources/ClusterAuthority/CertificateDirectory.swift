import Foundation

/// A directory with a node's credentials, and on the nodes that admit others the authority's key.
///
/// | file | what | mode |
/// |---|---|---|
/// | `ca.pem` | the authority's certificate | 0644 |
/// | `ca-key.pem` | the authority's key | 0600 |
/// | `node.pem` | the node's certificate | 0644 |
/// | `node-key.pem` | the node's key | 0600 |
///
/// All calls block on files.
public struct CertificateDirectory: Sendable {
    public let path: String

    public init(path: String) {
        self.path = path
    }

    public var authorityCertificatePath: String { path + "/ca.pem" }
    public var authorityKeyPath: String { path + "/ca-key.pem" }
    public var nodeCertificatePath: String { path + "/node.pem" }
    public var nodeKeyPath: String { path + "/node-key.pem" }

    /// Makes a cluster's authority and writes it here. Never overwrites one.
    public func createAuthority(
        clusterName: String, clusterID: String? = nil, now: Date = Date()
    ) throws(AuthorityError) -> CertificateAuthority {
        let authority = try CertificateAuthority.create(
            clusterName: clusterName, clusterID: clusterID, now: now)
        try DurableFile.makeDirectory(path)
        guard !DurableFile.exists(authorityCertificatePath) else {
            throw DurableFile.existing(authorityCertificatePath)
        }
        // The key first: a certificate without its key would look like a node's directory.
        try DurableFile.write(
            authority.privateKeyPEM, to: authorityKeyPath, mode: 0o600, replacing: false)
        try DurableFile.write(
            authority.certificatePEM, to: authorityCertificatePath, mode: 0o644, replacing: false)
        return authority
    }

    /// Reads the authority, with its key.
    public func loadAuthority() throws(AuthorityError) -> CertificateAuthority {
        let certificate = try DurableFile.read(authorityCertificatePath, secret: false)
        let key = try DurableFile.read(authorityKeyPath, secret: true)
        return try inThisDirectory { () throws(AuthorityError) in
            try CertificateAuthority(certificatePEM: certificate, privateKeyPEM: key)
        }
    }

    /// Writes a node's credentials here, in place of earlier ones of the same node and cluster.
    ///
    /// - Throws: `.wrongCluster` when `ca.pem` here is another cluster's, `.wrongNode` when
    ///   `node.pem` here is another node's.
    public func store(_ credentials: NodeCredentials) throws(AuthorityError) {
        try DurableFile.makeDirectory(path)
        try checkReplaceable(by: credentials)
        try DurableFile.write(
            credentials.privateKeyPEM, to: nodeKeyPath, mode: 0o600, replacing: true)
        try DurableFile.write(
            credentials.certificatePEM, to: nodeCertificatePath, mode: 0o644, replacing: true)
        try DurableFile.write(
            credentials.authorityPEM, to: authorityCertificatePath, mode: 0o644, replacing: true)
    }

    /// Reads and checks the credentials of the node that lives here.
    ///
    /// - Parameters:
    ///   - node: the node that it must be; nil takes any.
    ///   - clusterID: the cluster that it must be of; nil takes any.
    public func loadNode(
        _ node: String? = nil, clusterID: String? = nil, now: Date = Date()
    ) throws(AuthorityError) -> NodeCredentials {
        let authority = try DurableFile.read(authorityCertificatePath, secret: false)
        let certificate = try DurableFile.read(nodeCertificatePath, secret: false)
        let key = try DurableFile.read(nodeKeyPath, secret: true)
        let credentials = try inThisDirectory { () throws(AuthorityError) in
            try NodeCredentials(
                authorityPEM: authority, certificatePEM: certificate, privateKeyPEM: key, now: now)
        }
        if let clusterID, credentials.clusterID != clusterID {
            throw AuthorityError(
                .wrongCluster,
                "of cluster \(credentials.clusterID), but \(clusterID) is configured",
                path: nodeCertificatePath)
        }
        if let node, credentials.node != node {
            throw AuthorityError(
                .wrongNode, "of node \(credentials.node), but \(node) is configured",
                path: nodeCertificatePath)
        }
        return credentials
    }

    private func checkReplaceable(by new: NodeCredentials) throws(AuthorityError) {
        if DurableFile.exists(authorityCertificatePath) {
            let present = try DurableFile.read(authorityCertificatePath, secret: false)
            guard present == new.authorityPEM else {
                throw AuthorityError(
                    .wrongCluster,
                    "another authority's certificate is here: choose another directory",
                    path: authorityCertificatePath)
            }
        }
        if DurableFile.exists(nodeCertificatePath) {
            let present = try PEM.certificate(
                DurableFile.read(nodeCertificatePath, secret: false),
                what: "the certificate that is here")
            guard CertificateSubject(present.subject)?.commonName == new.node else {
                throw AuthorityError(
                    .wrongNode, "another node's certificate is here: choose another directory",
                    path: nodeCertificatePath)
            }
        }
    }

    private func inThisDirectory<Value>(
        _ body: () throws(AuthorityError) -> Value
    ) throws(AuthorityError) -> Value {
        do {
            return try body()
        } catch {
            throw AuthorityError(error.code, error.message, path: error.path ?? path)
        }
    }
}
