import Crypto
import Foundation
import SwiftASN1
import X509

extension CertificateAuthority {
    /// Issues a new P-256 key and a certificate for a node, valid for two years.
    ///
    /// - Parameters:
    ///   - node: one DNS label in lower case.
    ///   - clusterName: the name of the cluster that the caller means; refused when this authority
    ///     is of another. Nil takes the authority's own.
    ///   - now: the time from which validity counts.
    /// - Throws: `.invalidName`, `.wrongCluster`, `.expired` when the authority's own time is over.
    public func issueNodeCertificate(
        node: String, clusterName: String? = nil, now: Date = Date()
    ) throws(AuthorityError) -> NodeCredentials {
        try AuthorityNames.checkNode(node)
        if let clusterName, clusterName != self.clusterName {
            throw AuthorityError(
                .wrongCluster,
                "this is the authority of cluster \"\(self.clusterName)\", not of "
                    + "\"\(clusterName)\"")
        }
        try certificate.requireValid(at: now, what: "the authority's certificate")
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let subject = CertificateSubject(
            commonName: node, clusterID: clusterID, clusterName: self.clusterName)
        let issued: Certificate
        do {
            issued = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: now - TimeInterval(AuthorityLimits.clockSkewSeconds),
                notValidAfter: now + TimeInterval(AuthorityLimits.nodeValiditySeconds),
                issuer: certificate.subject, subject: try subject.distinguishedName(),
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: nodeExtensions(node: node, publicKey: key.publicKey),
                issuerPrivateKey: privateKey)
        } catch {
            throw AuthorityError(.signing, "the certificate of \(node) was not made: \(error)")
        }
        return try NodeCredentials(
            authorityPEM: PEM.text(certificate), certificatePEM: PEM.text(issued),
            privateKeyPEM: PEM.text(key), now: now)
    }

    private func nodeExtensions(
        node: String, publicKey: Certificate.PublicKey
    ) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            Critical(KeyUsage(digitalSignature: true))
            try ExtendedKeyUsage([.serverAuth, .clientAuth])
            SubjectAlternativeNames([
                .dnsName(AuthorityNames.dnsName(node: node, clusterID: clusterID))
            ])
            SubjectKeyIdentifier(hash: publicKey)
            AuthorityKeyIdentifier(
                keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
        }
    }
}
