import ClusterAuthority
import Glibc
import Testing

@testable import LabKit

@Suite struct LabCertificatesTests {
    let temporary = TemporaryDirectory()

    @Test func everyNodeGetsItsOwnOfOneAuthority() throws {
        let plan = LabPlan(
            directory: Lab.resolve(temporary.path), id: 9, options: .test(nodes: 2))
        try LabFiles(plan: plan).make()
        defer { unlink(plan.imagePath) }
        try AuthorityCertificates().issue(plan)
        let authority = try CertificateDirectory(path: plan.authorityDirectory).loadAuthority()
        for node in plan.nodes {
            let credentials = try CertificateDirectory(path: node.certificatesDirectory)
                .loadNode()
            #expect(credentials.node == node.name)
            #expect(credentials.clusterName == "lab-9")
            #expect(credentials.clusterID == authority.clusterID)
            #expect(try credentials.authorityPEM == authority.certificatePEM)
        }
    }
}
