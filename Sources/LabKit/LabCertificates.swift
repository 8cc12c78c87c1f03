/// Makes the certificates of a lab's cluster.
public protocol LabCertificates: Sendable {
    /// Makes an authority in `plan.authorityDirectory` and writes `ca.pem`, `node.pem` and
    /// `node-key.pem` into every node's `certificatesDirectory`. The folders exist.
    func issue(_ plan: LabPlan) throws
}
