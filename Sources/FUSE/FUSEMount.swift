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
    /// How the kernel's requests come here.
    public let transport: FUSETransport
    private let connection: FUSEConnection
    private let currentPath: Mutex<String>

    private init(
        handler: Handler, path: String, connectionID: UInt32, connection: FUSEConnection,
        handshake: FUSEHandshake
    ) {
        self.connection = connection
        transport = handshake.transport
        self.handler = handler
        self.connectionID = connectionID
        flags = handshake.flags
        protocolMinor = handshake.protocolMinor
        currentPath = Mutex(path)
    }

    /// Mounts at the directory `path`, as root, and serves from then on, also when the returned value
    /// is dropped. Mount flags: `nodev`. Blocks for the handshake, at most 10 s.
    public static func mount(
        at path: String, options: FUSEMountOptions = FUSEMountOptions(), handler: Handler,
        logger: Logger = Logger(label: "covolume.fuse")
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        options.check()
        var reason = "by option"
        if options.transport != .device {
            if let obstacle = FUSEUringProbe.obstacle(setsParameter: options.enablesUring) {
                reason = obstacle
            } else {
                do throws(FUSEMountError) {
                    return try mount(
                        at: path, options, handler, logger, wantsUring: true, "probed")
                } catch {
                    guard error.operation == .startRings else { throw error }
                    reason = "\(error)"
                }
            }
            guard options.transport == .automatic else {
                throw FUSEMountError(.startRings, path, .notSupported, detail: reason)
            }
        }
        return try mount(at: path, options, handler, logger, wantsUring: false, reason)
    }

    private static func mount(
        at path: String, _ options: FUSEMountOptions, _ handler: Handler, _ logger: Logger,
        wantsUring: Bool, _ reason: String
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        let connection = FUSEConnection(logger: logger)
        let descriptor = covol_fuse_open()
        guard descriptor >= 0 else {
            throw FUSEMountError(.openDevice, path, ErrorCode(-descriptor))
        }
        let first = FUSEChannel(descriptor: descriptor, connection: connection)
        let mounted = covol_fuse_mount(
            options.sourceName, path, "fuse." + options.subtype,
            options.mountData(descriptor: descriptor))
        guard mounted == 0 else { throw FUSEMountError(.mount, path, ErrorCode(-mounted)) }
        do throws(FUSEMountError) {
            let mount = try serve(
                path, options: options, handler: handler, first: first, wantsUring: wantsUring)
            mount.log(logger, options, reason)
            return mount
        } catch {
            // Closing the last descriptor then ends the connection.
            _ = covol_fuse_unmount(path, 1, 0)
            throw error
        }
    }

    private static func serve(
        _ path: String, options: FUSEMountOptions, handler: Handler, first: FUSEChannel,
        wantsUring: Bool
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        var connectionID: UInt32 = 0
        let found = covol_fuse_device(path, &connectionID)
        guard found == 0 else { throw FUSEMountError(.connection, path, ErrorCode(-found)) }
        let handshake = try FUSEHandshake.perform(
            on: first, path: path, options: options, wantsUring: wantsUring)
        if wantsUring && handshake.transport == .device {
            throw FUSEMountError(
                .startRings, path, .notSupported, detail: "the kernel does not offer it")
        }
        var channels = [first]
        while channels.count < options.workers {
            let descriptor = covol_fuse_clone(first.descriptor)
            guard descriptor >= 0 else {
                throw FUSEMountError(.cloneDevice, path, ErrorCode(-descriptor))
            }
            channels.append(FUSEChannel(descriptor: descriptor, connection: first.connection))
        }
        let decoder = FUSEDecoder(
            setxattrExtended: handshake.flags.contains(.setxattrExtended),
            readMaximumBytes: options.maximumReadBytes,
            writeMaximumBytes: options.maximumWriteBytes)
        var starter = FUSEWorkerStarter(
            connectionID: connectionID, slotCount: options.slotsPerWorker, decoder: decoder,
            handler: handler)
        if handshake.transport == .uring, let processors = FUSEProcessors() {
            starter.slotCount = FUSELimits.deviceSlotsBesideRing
            starter.plans = FUSERingPlan.plans(options: options, processors: processors)
        }
        do throws(ErrorCode) {
            try starter.start(channels, connection: first.connection) {
                // Requests in a queue without entries would wait for ever.
                _ = FUSEControl.abort(connectionID: connectionID, path: path)
            }
        } catch {
            throw FUSEMountError(wantsUring ? .startRings : .startWorker, path, error)
        }
        return FUSEMount(
            handler: handler, path: path, connectionID: connectionID,
            connection: first.connection, handshake: handshake)
    }

    private func log(_ logger: Logger, _ options: FUSEMountOptions, _ reason: String) {
        logger.info(
            "FUSE mounted",
            metadata: [
                "path": "\(path)", "connection": "\(connectionID)",
                "workers": "\(options.workers)", "transport": "\(transport)",
                "transportReason": "\(reason)", "protocol": "7.\(protocolMinor)",
                "flags": "\(String(flags.rawValue, radix: 16))",
            ])
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

/// A connection's files below /sys/fs/fuse/connections.
enum FUSEControl {
    static func abortPath(_ connectionID: UInt32) -> String {
        "/sys/fs/fuse/connections/\(connectionID)/abort"
    }

    /// 0, or -errno.
    static func abort(connectionID: UInt32, path: String) -> Int32 {
        if FUSESystemFile.write("1", to: abortPath(connectionID)) { return 0 }
        // Without fusectl, a forced unmount begins with an abort, whether or not it then succeeds.
        let result = covol_fuse_unmount(path, 0, 1)
        return result == -ErrorCode.busy.number ? 0 : result
    }
}
