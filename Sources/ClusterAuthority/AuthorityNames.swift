/// The names that a certificate of a cluster carries.
public enum AuthorityNames {
    /// The last label of the DNS names in nodes' certificates; no resolver knows it.
    public static let domain = "covolume"

    /// The DNS name in a node's certificate, which a client checks: `<node>.<clusterid>.covolume`.
    public static func dnsName(node: String, clusterID: String) -> String {
        "\(node).\(clusterID).\(domain)"
    }

    /// One DNS label in lower case: letters, digits and inner hyphens, 1 to 63 bytes.
    public static func isLabel(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return false }
        guard bytes.count <= AuthorityLimits.labelMaximumBytes else { return false }
        let hyphen = UInt8(ascii: "-")
        return first != hyphen && last != hyphen
            && bytes.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == hyphen
            }
    }

    static func checkNode(_ node: String) throws(AuthorityError) {
        guard isLabel(node) else {
            throw AuthorityError(
                .invalidName,
                "\"\(node)\" cannot be a node's name: use 1 to \(AuthorityLimits.labelMaximumBytes) "
                    + "lower-case letters, digits and inner hyphens")
        }
    }

    static func checkClusterID(_ clusterID: String) throws(AuthorityError) {
        guard isLabel(clusterID) else {
            throw AuthorityError(
                .invalidName,
                "\"\(clusterID)\" cannot be a cluster's id: use 1 to "
                    + "\(AuthorityLimits.labelMaximumBytes) lower-case letters, digits and inner "
                    + "hyphens")
        }
    }

    static func checkClusterName(_ name: String) throws(AuthorityError) {
        let bytes = name.utf8
        guard !bytes.isEmpty, bytes.count <= AuthorityLimits.clusterNameMaximumBytes,
            bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else {
            throw AuthorityError(
                .invalidName,
                "\"\(name)\" cannot be a cluster's name: use 1 to "
                    + "\(AuthorityLimits.clusterNameMaximumBytes) bytes without control characters")
        }
    }
}
