extension Lab {
    /// What `up` uses for certificates.
    public static var defaultCertificates: (any LabCertificates)? { nil }
}
