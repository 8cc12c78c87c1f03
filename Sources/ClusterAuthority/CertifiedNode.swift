import X509

/// The node and cluster that a certificate names.
///
/// This reads names and checks no signature: use it only on a certificate that TLS has verified.
public struct CertifiedNode: Sendable, Hashable {
    public let node: String
    public let clusterID: String

    /// Reads the names from a DER certificate.
    ///
    /// - Throws: `.malformed`, and `.invalidName` when the node's name is not one of ours.
    public init(derEncoded bytes: [UInt8]) throws(AuthorityError) {
        let certificate: Certificate
        do {
            certificate = try Certificate(derEncoded: bytes)
        } catch {
            throw AuthorityError(.malformed, "the peer's certificate cannot be read: \(error)")
        }
        guard let subject = CertificateSubject(certificate.subject) else {
            throw AuthorityError(
                .malformed, "the peer's certificate does not name its node and cluster")
        }
        try AuthorityNames.checkNode(subject.commonName)
        self.node = subject.commonName
        self.clusterID = subject.clusterID
    }
}
