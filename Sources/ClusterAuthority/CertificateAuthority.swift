import Crypto
import Foundation
import SwiftASN1
import X509

/// A cluster's own certificate authority: a P-256 key and its self-signed certificate.
///
/// Every certificate that it issues is for one node and for both sides of a connection. Whoever
/// holds its private key can be any node: the key stays on the nodes that admit others.
public struct CertificateAuthority: Sendable {
    /// The cluster's id: one DNS label, made at `create` and the same for the cluster's life.
    public let clusterID: String
    public let clusterName: String
    let certificate: Certificate
    let privateKey: Certificate.PrivateKey

    /// Makes the authority of a new cluster, valid for ten years.
    ///
    /// - Parameters:
    ///   - clusterID: one DNS label; random when not given.
    ///   - now: the time from which validity counts.
    public static func create(
        clusterName: String, clusterID: String? = nil, now: Date = Date()
    ) throws(AuthorityError) -> CertificateAuthority {
        let clusterID = clusterID ?? UUID().uuidString.lowercased()
        try AuthorityNames.checkClusterName(clusterName)
        try AuthorityNames.checkClusterID(clusterID)
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        do {
            let subject = try CertificateSubject(
                commonName: "Covolume cluster authority", clusterID: clusterID,
                clusterName: clusterName
            ).distinguishedName()
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: now - TimeInterval(AuthorityLimits.clockSkewSeconds),
                notValidAfter: now + TimeInterval(AuthorityLimits.authorityValiditySeconds),
                issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                },
                issuerPrivateKey: key)
            return CertificateAuthority(
                clusterID: clusterID, clusterName: clusterName, certificate: certificate,
                privateKey: key)
        } catch {
            throw AuthorityError(.signing, "the authority's certificate was not made: \(error)")
        }
    }

    init(
        clusterID: String, clusterName: String, certificate: Certificate,
        privateKey: Certificate.PrivateKey
    ) {
        self.clusterID = clusterID
        self.clusterName = clusterName
        self.certificate = certificate
        self.privateKey = privateKey
    }

    /// Reads an authority from its PEM texts, and checks that they belong together.
    public init(certificatePEM: String, privateKeyPEM: String) throws(AuthorityError) {
        let certificate = try PEM.certificate(certificatePEM, what: "the authority's certificate")
        let key = try PEM.privateKey(privateKeyPEM, what: "the authority's key")
        let subject = try certificate.requireAuthority()
        guard certificate.publicKey == key.publicKey else {
            throw AuthorityError(
                .keyMismatch,
                "the authority's key is not its certificate's: restore both files from one backup")
        }
        self.init(
            clusterID: subject.clusterID, clusterName: subject.clusterName,
            certificate: certificate, privateKey: key)
    }

    /// The authority's certificate, which every node gets.
    public var certificatePEM: String {
        get throws(AuthorityError) { try PEM.text(certificate) }
    }

    /// The authority's private key, which is worth the whole cluster.
    public var privateKeyPEM: String {
        get throws(AuthorityError) { try PEM.text(privateKey) }
    }
}
