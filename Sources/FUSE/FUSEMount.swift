import CLinux
import Glibc
import Logging
import Synchronization
import VolumeModel

/// A mounted file system, served by `Handler`. Generic, so that no request goes through an
/// existential. All members may be used from any thread.
public final class FUSEMount<Handler: FUSEHandler>: Sendable {
    public let handler: Handler
    /// The number of the connection below `/sys/fs/fuse/connections`.
    public let connectionID: UInt32
    /// What the kernel and this module agreed on.
    public let flags: FUSEInitFlags
    public let protocolMinor: UInt32
    let maximumReadBytes: Int
    let maximumWriteBytes: Int
    /// How the kernel's requests come here.
    public let transport: FUSETransport
    let connection: FUSEConnection
    private let currentPath: Mutex<String>

    init(
        handler: Handler, path: String, connectionID: UInt32, connection: FUSEConnection,
        flags: FUSEInitFlags, protocolMinor: UInt32, options: FUSEMountOptions
    ) {
        self.connection = connection
        transport = flags.contains(.overUring) ? .uring : .device
        maximumReadBytes = options.maximumReadBytes
        maximumWriteBytes = options.maximumWriteBytes
        self.handler = handler
        self.connectionID = connectionID
        self.flags = flags
        self.protocolMinor = protocolMinor
        currentPath = Mutex(path)
    }

    /// Where the mount is.
    public var path: String { currentPath.withLock { $0 } }

    /// Takes the mount out of the tree. Not `lazy`: EBUSY while a file is open there. `lazy`: the
    /// connection ends when the last user is gone. The handler's `ended` tells when.
    public func unmount(lazy: Bool = false) throws(FUSEMountError) {
        let path = path
        let result = covol_fuse_unmount(path, lazy ? 1 : 0, 0)
        guard result == 0 else { throw FUSEMountError(.unmount, path, ErrorCode(-result)) }
    }

    /// Moves the mount, with all that is open in it, to another directory: `MS_MOVE`, mount(2); or,
    /// where the mount below it is shared and refuses that, a second mount there (`MS_BIND`) and the
    /// first one's lazy end.
    public func move(to newPath: String) throws(FUSEMountError) {
        let result = currentPath.withLock { path in
            var result = covol_fuse_move(path, newPath)
            if result == -ErrorCode.invalid.number {
                result = Glibc.mount(path, newPath, nil, UInt(MS_BIND), nil) == 0 ? 0 : -errno
                if result == 0 { _ = covol_fuse_unmount(path, 1, 0) }
            }
            if result == 0 { path = newPath }
            return result
        }
        guard result == 0 else { throw FUSEMountError(.move, newPath, ErrorCode(-result)) }
    }

    /// Ends the connection: every request under way or to come fails with ECONNABORTED or ENOTCONN.
    /// Those that were answered before are not among them. The mount stays in the tree; unmount it
    /// lazily. May wait for half a second.
    public func abort() throws(FUSEMountError) {
        connection.settle()
        let result = FUSEControl.abort(connectionID: connectionID, path: path)
        if result != 0 {
            throw FUSEMountError(
                .abort, path, ErrorCode(-result),
                detail: "\(FUSEControl.abortPath(connectionID)) cannot be written")
        }
    }
}
