import VolumeModel

/// Why a volume could not be mounted, looked into or given back, in words for the operator.
public struct HostFileSystemError: Error, CustomStringConvertible, Sendable {
    /// The system call's error, where one failed.
    public let code: ErrorCode?
    /// What was tried, what went wrong and what to do.
    public let message: String

    public init(_ message: String, code: ErrorCode? = nil) {
        self.code = code
        self.message = message
    }

    public var description: String {
        guard let code else { return message }
        return "\(message) (\(code.text))"
    }
}
