import CLinux
import Glibc
import Logging
import VolumeModel

extension FUSEMount {
    /// Mounts at the directory `path`, as root, and serves from then on, also when the returned value
    /// is dropped. Mount flags: `nodev`. Blocks for the handshake, at most 10 s.
    public static func mount(
        at path: String, options: FUSEMountOptions = FUSEMountOptions(), handler: Handler,
        logger: Logger = Logger(label: "covolume.fuse")
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        try mount(
            at: path, options: options, handler: handler, logger: logger,
            processors: FUSEProcessors())
    }

    /// `processors`: those of the machine, as far as they are known.
    static func mount(
        at path: String, options: FUSEMountOptions, handler: Handler, logger: Logger,
        processors: FUSEProcessors?
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        options.check()
        var reason = "by option"
        if options.transport != .device {
            reason = "the number of CPUs is not known"
            if let obstacle = FUSEUringProbe.obstacle(setsParameter: options.enablesUring) {
                reason = obstacle
            } else if let processors {
                do throws(FUSEMountError) {
                    return try mount(at: path, options, handler, logger, processors, "probed")
                } catch {
                    guard error.operation == .startRings else { throw error }
                    reason = "\(error)"
                }
            }
            guard options.transport == .automatic else {
                throw FUSEMountError(.startRings, path, .notSupported, detail: reason)
            }
        }
        return try mount(at: path, options, handler, logger, nil, reason)
    }

    /// With `processors`: FUSE over io_uring, or an error.
    private static func mount(
        at path: String, _ options: FUSEMountOptions, _ handler: Handler, _ logger: Logger,
        _ processors: FUSEProcessors?, _ reason: String
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
                path, options: options, handler: handler, first: first,
                processors: processors)
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
        processors: FUSEProcessors?
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        var connectionID: UInt32 = 0
        let found = covol_fuse_device(path, &connectionID)
        guard found == 0 else { throw FUSEMountError(.connection, path, ErrorCode(-found)) }
        let handshake = try FUSEHandshake.perform(
            on: first, path: path, options: options, wantsUring: processors != nil)
        if processors != nil && handshake.transport == .device {
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
        if let processors {
            starter.slotCount = FUSELimits.deviceSlotsBesideRing
            starter.plans = FUSERingPlan.plans(options: options, processors: processors)
        }
        do throws(ErrorCode) {
            try starter.start(channels, connection: first.connection) {
                // Requests in a queue without entries would wait for ever.
                _ = FUSEControl.abort(connectionID: connectionID, path: path)
            }
        } catch {
            throw FUSEMountError(processors != nil ? .startRings : .startWorker, path, error)
        }
        return FUSEMount(
            handler: handler, path: path, connectionID: connectionID,
            connection: first.connection, flags: handshake.flags,
            protocolMinor: handshake.protocolMinor, options: options)
    }

    func log(_ logger: Logger, _ options: FUSEMountOptions, _ reason: String) {
        logger.info(
            "FUSE mounted",
            metadata: [
                "path": "\(path)", "connection": "\(connectionID)",
                "workers": "\(options.workers)", "transport": "\(transport)",
                "transportReason": "\(reason)", "protocol": "7.\(protocolMinor)",
                "flags": "\(String(flags.rawValue, radix: 16))",
            ])
    }
}
