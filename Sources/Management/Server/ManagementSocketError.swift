/// Why the management socket could not be opened.
public struct ManagementSocketError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// Another process answers on it.
        case inUse
        /// Something that is no socket is in its place.
        case notSocket
        /// Longer than an address of sockaddr_un(7) holds.
        case pathTooLong
        /// The system refused.
        case system
    }

    public let code: Code
    public let path: String
    /// What was found and what to do.
    public let message: String

    init(_ code: Code, path: String, _ message: String) {
        self.code = code
        self.path = path
        self.message = message
    }

    public var description: String { "\(path): \(message)" }
}
