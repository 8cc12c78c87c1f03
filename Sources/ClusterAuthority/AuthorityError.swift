/// Why an authority, a certificate or a directory of them could not be made, read or used.
///
/// `description` says what was found and what to do about it, with the path where there is one.
public struct AuthorityError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// A cluster's or node's name cannot stand in a certificate.
        case invalidName
        /// A file that is needed is not there.
        case missing
        /// A file is there that would have been overwritten.
        case exists
        /// A private key's file can be read by others than its owner.
        case unsafePermissions
        /// A file is too large, is not PEM, or is not what its name says.
        case malformed
        /// A certificate is of another cluster, or was not issued by this authority.
        case wrongCluster
        /// A certificate names another node.
        case wrongNode
        /// A certificate's time is over.
        case expired
        /// A certificate's time has not begun: most often a wrong clock.
        case notYetValid
        /// A private key is not the certificate's.
        case keyMismatch
        /// The system refused to read or write a file.
        case inputOutput
        /// A certificate could not be made or signed.
        case signing
    }

    public let code: Code
    /// What was found and what to do.
    public let message: String
    /// The file or directory concerned.
    public let path: String?

    public init(_ code: Code, _ message: String, path: String? = nil) {
        self.code = code
        self.message = message
        self.path = path
    }

    public var description: String {
        guard let path else { return message }
        return "\(path): \(message)"
    }
}
