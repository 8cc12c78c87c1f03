import ClusterAuthority
import Foundation
import Testing

@Suite("The cluster's authority by command")
struct ClusterTests {
    @Test func createThenIssue() async throws {
        try await withTemporaryDirectory { directory in
            let authority = directory + "/pki"
            let node = directory + "/node2"
            let created = await covol(
                "cluster", "create", "production", "--directory", authority, "--node", "node1")
            #expect(created.status == 0)
            #expect(created.output.hasPrefix("cluster production ("))
            let first = try CertificateDirectory(path: authority).loadNode("node1")
            let issued = await covol(
                "cluster", "issue", "node2", "--directory", authority, "--output", node)
            #expect(issued.status == 0)
            let second = try CertificateDirectory(path: node).loadNode("node2")
            #expect(first.clusterID == second.clusterID)
            // The authority's key stays where it is.
            #expect(!FileManager.default.fileExists(atPath: node + "/ca-key.pem"))
        }
    }

    @Test func anAuthorityIsNeverOverwritten() async throws {
        try await withTemporaryDirectory { directory in
            _ = await covol("cluster", "create", "one", "--directory", directory)
            let before = try Data(contentsOf: URL(fileURLWithPath: directory + "/ca.pem"))
            let again = await covol("cluster", "create", "two", "--directory", directory)
            #expect(again.status == 1)
            #expect(again.errors.hasPrefix("covol: \(directory)/ca.pem: "))
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory + "/ca.pem")) == before)
        }
    }

    @Test func issuingWithoutAnAuthority() async throws {
        try await withTemporaryDirectory { directory in
            let outcome = await covol(
                "cluster", "issue", "node1", "--directory", directory, "--output",
                directory + "/out")
            #expect(outcome.status == 1)
            #expect(outcome.errors.hasPrefix("covol: \(directory)/ca.pem: "))
        }
    }
}
