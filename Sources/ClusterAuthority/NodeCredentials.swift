import Foundation
import X509

/// What a node needs to speak with the others: its certificate, its key, and the authority that
/// every peer's certificate must come from. A value of this type has been checked.
public struct NodeCredentials: Sendable, Equatable {
    public let node: String
    public let clusterID: String
    public let clusterName: String
    /// The cluster's authority: the only root that peers are verified against.
    public let authorityPEM: String
    public let certificatePEM: String
    public let privateKeyPEM: String
    /// When the node's certificate ends; renew it before.
    public let notValidAfter: Date

    /// Reads and checks the three PEM texts.
    ///
    /// - Parameter now: the time that validity is checked against.
    /// - Throws: `.malformed`, `.wrongCluster` (not issued by this authority), `.expired`,
    ///   `.notYetValid`, `.keyMismatch`.
    public init(
        authorityPEM: String, certificatePEM: String, privateKeyPEM: String, now: Date = Date()
    ) throws(AuthorityError) {
        let authority = try PEM.certificate(authorityPEM, what: "the authority's certificate")
        let certificate = try PEM.certificate(certificatePEM, what: "the node's certificate")
        let key = try PEM.privateKey(privateKeyPEM, what: "the node's key")
        let cluster = try authority.requireAuthority()
        guard let subject = CertificateSubject(certificate.subject) else {
            throw AuthorityError(
                .malformed, "the node's certificate does not name its node and cluster")
        }
        guard subject.clusterID == cluster.clusterID, certificate.issuer == authority.subject,
            authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        else {
            throw AuthorityError(
                .wrongCluster,
                "the certificate of node \(subject.commonName) was not issued by the authority of "
                    + "cluster \"\(cluster.clusterName)\" (\(cluster.clusterID)): issue a new one")
        }
        try AuthorityNames.checkNode(subject.commonName)
        try authority.requireValid(at: now, what: "the authority's certificate")
        try certificate.requireValid(
            at: now, what: "the certificate of node \(subject.commonName)")
        guard certificate.publicKey == key.publicKey else {
            throw AuthorityError(
                .keyMismatch,
                "the key is not that of the certificate of node \(subject.commonName): issue both "
                    + "anew")
        }
        self.node = subject.commonName
        self.clusterID = subject.clusterID
        self.clusterName = subject.clusterName
        self.authorityPEM = authorityPEM
        self.certificatePEM = certificatePEM
        self.privateKeyPEM = privateKeyPEM
        self.notValidAfter = certificate.notValidAfter
    }
}
