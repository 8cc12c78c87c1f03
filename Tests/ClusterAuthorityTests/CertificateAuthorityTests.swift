import Foundation
import SwiftASN1
import Testing
import X509

@testable import ClusterAuthority

@Suite struct CertificateAuthorityTests {
    @Test func `a node's certificate says node and cluster, for both sides`() throws {
        let now = Date()
        let authority = try CertificateAuthority.create(clusterName: "Lab one", now: now)
        let node = try authority.issueNodeCertificate(node: "node1", now: now)
        #expect(node.node == "node1")
        #expect(node.clusterID == authority.clusterID)
        #expect(node.clusterName == "Lab one")

        let certificate = try Certificate(pemEncoded: node.certificatePEM)
        let subject = try #require(CertificateSubject(certificate.subject))
        #expect(subject.commonName == "node1")
        #expect(subject.clusterID == authority.clusterID)
        let names = try #require(try certificate.extensions.subjectAlternativeNames)
        #expect(Array(names) == [.dnsName("node1.\(authority.clusterID).covolume")])
        let usage = try #require(try certificate.extensions.extendedKeyUsage)
        #expect(Set(usage) == [.serverAuth, .clientAuth])
        let years = certificate.notValidAfter.timeIntervalSince(now) / (365 * 86_400)
        #expect(abs(years - 2) < 0.01)
        let root = try Certificate(pemEncoded: node.authorityPEM)
        #expect(abs(root.notValidAfter.timeIntervalSince(now) / (365 * 86_400) - 10) < 0.01)
        #expect(root.publicKey.isValidSignature(certificate.signature, for: certificate))
    }

    @Test func `a chain is valid for swift-certificates' own verifier, and only to its root`()
        async throws
    {
        let authority = try CertificateAuthority.create(clusterName: "lab")
        let other = try CertificateAuthority.create(clusterName: "lab")
        let node = try authority.issueNodeCertificate(node: "node1")
        let leaf = try Certificate(pemEncoded: node.certificatePEM)
        for (root, expected) in [(authority, true), (other, false)] {
            var verifier = Verifier(rootCertificates: CertificateStore([root.certificate])) {
                RFC5280Policy()
            }
            let result = await verifier.validate(
                leaf: leaf, intermediates: CertificateStore([]))
            if case .validCertificate = result {
                #expect(expected)
            } else {
                #expect(!expected)
            }
        }
    }

    @Test func `an authority comes back from its PEM`() throws {
        let authority = try CertificateAuthority.create(clusterName: "lab", clusterID: "c1")
        let again = try CertificateAuthority(
            certificatePEM: authority.certificatePEM, privateKeyPEM: authority.privateKeyPEM)
        #expect(again.clusterID == "c1")
        #expect(again.clusterName == "lab")
        let node = try again.issueNodeCertificate(node: "n", clusterName: "lab")
        #expect(try node.authorityPEM == authority.certificatePEM)
    }

    @Test(arguments: ["", "Node1", "a.b", "-a", "a-", "a b", String(repeating: "a", count: 64)])
    func `a name that is no label is refused`(name: String) throws {
        let authority = try CertificateAuthority.create(clusterName: "lab")
        #expect { try authority.issueNodeCertificate(node: name) } throws: {
            ($0 as? AuthorityError)?.code == .invalidName
        }
    }

    @Test func `longest names fit`() throws {
        let label = String(repeating: "a", count: 63)
        let authority = try CertificateAuthority.create(
            clusterName: String(repeating: "n", count: 64), clusterID: label)
        #expect(try authority.issueNodeCertificate(node: label).node == label)
    }

    @Test func `wrong cluster, wrong key, wrong time are told apart`() throws {
        let now = Date()
        let one = try CertificateAuthority.create(clusterName: "one", now: now)
        let two = try CertificateAuthority.create(clusterName: "two", now: now)
        let node = try one.issueNodeCertificate(node: "node1", now: now)
        let other = try one.issueNodeCertificate(node: "node1", now: now)

        func code(
            _ authority: String, _ certificate: String, _ key: String, _ at: Date
        ) -> AuthorityError.Code? {
            do {
                _ = try NodeCredentials(
                    authorityPEM: authority, certificatePEM: certificate, privateKeyPEM: key,
                    now: at)
                return nil
            } catch { return error.code }
        }
        let (ca, pem, key) = (node.authorityPEM, node.certificatePEM, node.privateKeyPEM)
        let year = TimeInterval(365 * 86_400)
        #expect(code(ca, pem, key, now) == nil)
        #expect(code(try two.certificatePEM, pem, key, now) == .wrongCluster)
        #expect(code(ca, pem, other.privateKeyPEM, now) == .keyMismatch)
        #expect(code(ca, pem, key, now + 2.1 * year) == .expired)
        #expect(code(ca, pem, key, now - year) == .notYetValid)
        #expect(code(pem, pem, key, now) == .malformed)
        #expect(code(ca, "junk", key, now) == .malformed)
        #expect(code(ca, pem, "junk", now) == .malformed)
        #expect { try one.issueNodeCertificate(node: "n", clusterName: "two") } throws: {
            ($0 as? AuthorityError)?.code == .wrongCluster
        }
        #expect { try one.issueNodeCertificate(node: "n", now: now + 11 * year) } throws: {
            ($0 as? AuthorityError)?.code == .expired
        }
    }

    @Test func `an authority of the same id with another key is another authority`() throws {
        let one = try CertificateAuthority.create(clusterName: "lab", clusterID: "same")
        let two = try CertificateAuthority.create(clusterName: "lab", clusterID: "same")
        let node = try one.issueNodeCertificate(node: "node1")
        #expect {
            try NodeCredentials(
                authorityPEM: two.certificatePEM, certificatePEM: node.certificatePEM,
                privateKeyPEM: node.privateKeyPEM)
        } throws: {
            ($0 as? AuthorityError)?.code == .wrongCluster
        }
    }
}
