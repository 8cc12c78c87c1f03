import ClusterAuthority
import NIOSSL

/// A node's credentials as TLS contexts: TLS 1.3 only, both sides verified, the cluster's authority
/// the only root.
public struct TransportCredentials: Sendable {
    public let node: String
    public let clusterID: String
    let clientContext: NIOSSLContext
    let serverContext: NIOSSLContext

    public init(_ credentials: NodeCredentials) throws(TransportError) {
        self.node = credentials.node
        self.clusterID = credentials.clusterID
        do {
            let root = try NIOSSLCertificate.fromPEMBytes(Array(credentials.authorityPEM.utf8))
            let chain = try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificatePEM.utf8))
                .map { NIOSSLCertificateSource.certificate($0) }
            let key = try NIOSSLPrivateKey(
                bytes: Array(credentials.privateKeyPEM.utf8), format: .pem)

            var server = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain, privateKey: .privateKey(key))
            Self.restrict(&server, to: root)
            // A server asks for a certificate and verifies its chain; there is no name to expect.
            server.certificateVerification = .noHostnameVerification
            self.serverContext = try NIOSSLContext(configuration: server)

            var client = TLSConfiguration.makeClientConfiguration()
            client.certificateChain = chain
            client.privateKey = .privateKey(key)
            Self.restrict(&client, to: root)
            client.certificateVerification = .fullVerification
            self.clientContext = try NIOSSLContext(configuration: client)
        } catch {
            throw TransportError(
                .credentials,
                "the credentials of \(credentials.node) cannot be used for TLS: \(error)")
        }
    }

    private static func restrict(
        _ configuration: inout TLSConfiguration, to root: [NIOSSLCertificate]
    ) {
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        configuration.trustRoots = .certificates(root)
        configuration.shutdownTimeout = .seconds(1)
    }

    /// The name that the certificate of a node of this cluster carries.
    func dnsName(of node: String) -> String {
        AuthorityNames.dnsName(node: node, clusterID: clusterID)
    }

    /// Who a certificate, whose chain TLS has verified, belongs to.
    func identity(of certificate: NIOSSLCertificate?) throws(TransportError) -> PeerIdentity {
        guard let certificate, let bytes = try? certificate.toDERBytes() else {
            throw TransportError(.handshakeFailed, "the peer showed no certificate")
        }
        let certified: CertifiedNode
        do {
            certified = try CertifiedNode(derEncoded: bytes)
        } catch {
            throw TransportError(.wrongPeer, error.description)
        }
        guard certified.clusterID == clusterID else {
            throw TransportError(
                .wrongPeer,
                "the peer \(certified.node) is of cluster \(certified.clusterID), this is "
                    + "\(clusterID)")
        }
        return PeerIdentity(node: certified.node)
    }
}
