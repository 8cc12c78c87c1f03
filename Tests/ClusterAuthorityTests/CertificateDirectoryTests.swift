import Foundation
import Testing

@testable import ClusterAuthority

@Suite struct CertificateDirectoryTests {
    private func code(_ body: () throws -> Void) -> AuthorityError.Code? {
        do {
            try body()
            return nil
        } catch { return (error as? AuthorityError)?.code }
    }

    @Test func `create a cluster, give a node its credentials, load them there`() throws {
        let temporary = try TemporaryDirectory()
        let first = CertificateDirectory(path: temporary.path + "/node1")
        let second = CertificateDirectory(path: temporary.path + "/node2")
        let created = try first.createAuthority(clusterName: "lab")
        try first.store(created.issueNodeCertificate(node: "node1"))
        try second.store(first.loadAuthority().issueNodeCertificate(node: "node2"))

        #expect(try first.loadNode("node1").node == "node1")
        let node2 = try second.loadNode("node2", clusterID: created.clusterID)
        #expect(node2.clusterName == "lab")
        #expect(!FileManager.default.fileExists(atPath: second.authorityKeyPath))
        #expect(try temporary.mode(of: first.authorityKeyPath) == 0o600)
        #expect(try temporary.mode(of: first.nodeKeyPath) == 0o600)
        #expect(try temporary.mode(of: second.nodeKeyPath) == 0o600)
        #expect(try temporary.mode(of: second.nodeCertificatePath) == 0o644)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: first.path).sorted()
                == ["ca-key.pem", "ca.pem", "node-key.pem", "node.pem"])
    }

    @Test func `renewal replaces, a second authority does not`() throws {
        let temporary = try TemporaryDirectory()
        let directory = CertificateDirectory(path: temporary.path + "/n")
        let authority = try directory.createAuthority(clusterName: "lab")
        try directory.store(authority.issueNodeCertificate(node: "node1"))
        let before = try directory.loadNode()
        try directory.store(authority.issueNodeCertificate(node: "node1"))
        #expect(try directory.loadNode().certificatePEM != before.certificatePEM)
        #expect(code { _ = try directory.createAuthority(clusterName: "lab") } == .exists)
        #expect(
            code { try directory.store(authority.issueNodeCertificate(node: "node2")) }
                == .wrongNode)
        let other = try CertificateAuthority.create(clusterName: "lab")
        #expect(
            code { try directory.store(other.issueNodeCertificate(node: "node1")) }
                == .wrongCluster)
        #expect(try directory.loadNode("node1").clusterID == authority.clusterID)
    }

    @Test func `what is wrong with a directory is said`() throws {
        let temporary = try TemporaryDirectory()
        let directory = CertificateDirectory(path: temporary.path + "/n")
        #expect(code { _ = try directory.loadNode() } == .missing)
        #expect(code { _ = try directory.loadAuthority() } == .missing)
        let authority = try directory.createAuthority(clusterName: "lab")
        #expect(code { _ = try directory.loadNode() } == .missing)
        try directory.store(authority.issueNodeCertificate(node: "node1"))
        #expect(code { _ = try directory.loadNode("node9") } == .wrongNode)
        #expect(code { _ = try directory.loadNode(clusterID: "zzz") } == .wrongCluster)
        let later = Date() + 3 * 365 * 86_400
        #expect(code { _ = try directory.loadNode(now: later) } == .expired)

        chmod(directory.nodeKeyPath, 0o640)
        #expect(code { _ = try directory.loadNode() } == .unsafePermissions)
        chmod(directory.nodeKeyPath, 0o600)
        let other = try authority.issueNodeCertificate(node: "node1")
        try other.privateKeyPEM.write(
            toFile: directory.nodeKeyPath, atomically: false, encoding: .utf8)
        #expect(code { _ = try directory.loadNode() } == .keyMismatch)
        let big = String(repeating: "x", count: AuthorityLimits.fileMaximumBytes + 1)
        try big.write(toFile: directory.nodeCertificatePath, atomically: false, encoding: .utf8)
        #expect(code { _ = try directory.loadNode() } == .malformed)
    }

    @Test func `an error names the path`() throws {
        let directory = CertificateDirectory(path: "/nonexistent/covolume")
        do {
            _ = try directory.loadNode()
            Issue.record("loaded a directory that is not there")
        } catch {
            #expect(error.path == directory.authorityCertificatePath)
            #expect(error.description.hasPrefix("/nonexistent/covolume/ca.pem: "))
        }
    }
}
