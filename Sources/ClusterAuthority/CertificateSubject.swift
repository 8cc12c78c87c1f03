import X509

/// What the subject of one of our certificates says.
///
/// CN is the node's name (or the authority's title), O the cluster's id, OU the cluster's name.
struct CertificateSubject: Equatable {
    var commonName: String
    var clusterID: String
    var clusterName: String

    init(commonName: String, clusterID: String, clusterName: String) {
        self.commonName = commonName
        self.clusterID = clusterID
        self.clusterName = clusterName
    }

    /// Nil when one of the three is missing, not text, or there twice.
    init?(_ name: DistinguishedName) {
        guard let commonName = name.onlyText(of: .RDNAttributeType.commonName),
            let clusterID = name.onlyText(of: .RDNAttributeType.organizationName),
            let clusterName = name.onlyText(of: .RDNAttributeType.organizationalUnitName)
        else { return nil }
        self.init(commonName: commonName, clusterID: clusterID, clusterName: clusterName)
    }

    func distinguishedName() throws -> DistinguishedName {
        try DistinguishedName {
            OrganizationName(clusterID)
            OrganizationalUnitName(clusterName)
            CommonName(commonName)
        }
    }
}
