import ClusterAuthority

extension Lab {
    /// What `covol lab up` and tests use: an authority of the lab's own.
    public static var defaultCertificates: (any LabCertificates)? { AuthorityCertificates() }
}

/// Certificates as `covol cluster create` and `covol node add` would make them.
struct AuthorityCertificates: LabCertificates {
    func issue(_ plan: LabPlan) throws {
        let authority = try CertificateDirectory(path: plan.authorityDirectory)
            .createAuthority(clusterName: plan.clusterName)
        for node in plan.nodes {
            try CertificateDirectory(path: node.certificatesDirectory)
                .store(try authority.issueNodeCertificate(node: node.name))
        }
    }
}
