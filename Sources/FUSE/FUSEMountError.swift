import VolumeModel

/// Why a mount, or an operation on it, failed.
public struct FUSEMountError: Error, Sendable, CustomStringConvertible {
    public enum Operation: String, Sendable {
        case openDevice = "open /dev/fuse"
        case mount = "mount"
        case handshake = "agree with the kernel's FUSE"
        case cloneDevice = "clone /dev/fuse"
        case startWorker = "start a worker"
        case startRings = "use FUSE over io_uring"
        case connection = "find the connection"
        case unmount = "unmount"
        case abort = "abort"
        case move = "move"
        case adopt = "go on with what an earlier process served"
    }

    public let operation: Operation
    public let path: String
    public let code: ErrorCode
    /// What is known beyond the code; may be empty.
    public let detail: String

    init(_ operation: Operation, _ path: String, _ code: ErrorCode, detail: String = "") {
        self.operation = operation
        self.path = path
        self.code = code
        self.detail = detail
    }

    public var description: String {
        "\(path): cannot \(operation.rawValue): \(code)" + (detail.isEmpty ? "" : ": " + detail)
            + advice
    }

    private var advice: String {
        switch (operation, code) {
        case (.openDevice, .noEntry), (.openDevice, .noDevice), (.mount, .noDevice):
            " (load the kernel module fuse)"
        case (.openDevice, .accessDenied), (.mount, .notPermitted): " (run as root)"
        case (.mount, .noEntry): " (make the directory first)"
        case (.unmount, .busy): " (something has a file open or its directory there; see fuser -m)"
        case (.startWorker, .notPermitted), (.startWorker, .notImplemented):
            " (io_uring is missing or forbidden; see sysctl kernel.io_uring_disabled)"
        default: ""
        }
    }
}
