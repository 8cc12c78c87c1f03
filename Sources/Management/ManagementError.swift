/// Why a request was not carried out.
///
/// On the wire it is `{"error":{"code":"…","message":"…"}}` with the HTTP status; at the end of a
/// progress stream, whose status has been sent, the `error` event carries the status as well.
public struct ManagementError: Error, Sendable, Equatable, CustomStringConvertible {
    /// For programs: words in lower case with hyphens, and never changed once published.
    public let code: String
    /// For the operator: what was found, and what to do.
    public let message: String
    /// The HTTP status, 400 to 599.
    public let status: Int

    public init(code: String, message: String, status: Int) {
        precondition((400...599).contains(status), "\(status) is not the status of an error")
        self.code = code
        self.message = message
        self.status = status
    }

    public var description: String { message }
}

extension ManagementError {
    /// The request itself is wrong: 400.
    public static func invalidRequest(_ message: String) -> ManagementError {
        ManagementError(code: "invalid-request", message: message, status: 400)
    }

    /// A name that no volume may have: 400.
    public static func invalidName(_ message: String) -> ManagementError {
        ManagementError(code: "invalid-name", message: message, status: 400)
    }

    /// Something that the request names is not there: 404.
    public static func notFound(_ message: String) -> ManagementError {
        ManagementError(code: "not-found", message: message, status: 404)
    }

    /// No volume has this name: 404.
    public static func volumeNotFound(_ name: String) -> ManagementError {
        ManagementError(
            code: "volume-not-found",
            message: "there is no volume \"\(name)\"; `covol volume list` shows those there are",
            status: 404)
    }

    /// No virtual machine has this name: 404.
    public static func machineNotFound(_ name: String) -> ManagementError {
        ManagementError(
            code: "machine-not-found",
            message: "there is no machine \"\(name)\"; `covol vm list` shows those there are",
            status: 404)
    }

    /// The state of the cluster is in the way, a name that is taken for one: 409.
    public static func conflict(_ message: String) -> ManagementError {
        ManagementError(code: "conflict", message: message, status: 409)
    }

    /// A device, a file system or a file that a rule forbids to use: 422.
    public static func refused(_ message: String) -> ManagementError {
        ManagementError(code: "refused", message: message, status: 422)
    }

    /// The daemon could not do it: 500.
    public static func `internal`(_ message: String) -> ManagementError {
        ManagementError(code: "internal", message: message, status: 500)
    }

    /// A part that is needed, the store or a coordinator, does not answer now: 503.
    public static func unavailable(_ message: String) -> ManagementError {
        ManagementError(code: "unavailable", message: message, status: 503)
    }
}
