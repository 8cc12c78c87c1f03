import Glibc

/// How requests and answers travel between the kernel and a mount.
public enum FUSETransport: String, Sendable, CustomStringConvertible {
    /// Read from and written to descriptors of /dev/fuse.
    case device
    /// Entries of the workers' own io_urings (Linux 6.14).
    case uring

    public var description: String {
        switch self {
        case .device: "/dev/fuse"
        case .uring: "io_uring"
        }
    }
}

extension FUSEMountOptions {
    public enum Transport: String, Sendable {
        /// io_uring where the kernel has it, else /dev/fuse.
        case automatic
        /// io_uring, or the mount fails.
        case uring
        case device

        static let standard =
            getenv("COVOL_FUSE_TRANSPORT").flatMap { Transport(rawValue: String(cString: $0)) }
            ?? .automatic
    }
}
