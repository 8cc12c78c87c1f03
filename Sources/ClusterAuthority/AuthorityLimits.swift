/// The named limits of names, times and files of the cluster's authority.
public enum AuthorityLimits {
    /// An authority's certificate is valid for ten years.
    public static let authorityValiditySeconds = 10 * 365 * 86_400
    /// A node's certificate is valid for two years.
    public static let nodeValiditySeconds = 2 * 365 * 86_400
    /// Certificates are valid from this long before they are made, for hosts whose clocks differ.
    public static let clockSkewSeconds = 3_600
    /// A node's name and a cluster's id are one DNS label each (RFC 1035, section 2.3.4).
    public static let labelMaximumBytes = 63
    /// A cluster's name fits X.520's ub-organizational-unit-name (RFC 5280, appendix A.1).
    public static let clusterNameMaximumBytes = 64
    /// No PEM file that we write comes near this.
    public static let fileMaximumBytes = 64 * 1_024
}
