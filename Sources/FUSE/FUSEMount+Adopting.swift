import CLinux
import Glibc
import Logging
import VolumeModel

extension FUSEMount {
    /// For ``adopt(_:descriptors:options:handler:logger:)`` in a later process; nil where none can
    /// (/dev/fuse before Linux 6.9).
    public var state: FUSEMountState? {
        guard transport == .uring || flags.contains(.hasResend) else { return nil }
        return FUSEMountState(
            path: path, connectionID: connectionID, flags: flags.rawValue,
            protocolMinor: protocolMinor, maximumReadBytes: maximumReadBytes,
            maximumWriteBytes: maximumWriteBytes,
            workers: connection.withDescriptors { $0.count } - connection.rings.count,
            rings: connection.rings)
    }

    /// The descriptors that go with ``state``, borrowed: for a holder, which keeps the connection alive
    /// with them. None once the connection is over.
    public func withDescriptors<Value>(_ body: ([Int32]) -> Value) -> Value {
        connection.withDescriptors(body)
    }

    /// How many requests of the process before were answered with EAGAIN, because nobody can read them
    /// any more.
    public var requestsTriedAgain: Int { connection.triedAgain.load(ordering: .relaxed) }

    /// How many requests the kernel waits for that neither it nor this process has: they were lost with a
    /// process before. Nil: that cannot be told while others are under way; ask again. May wait for half
    /// a second.
    public func requestsWithNobody() -> Int? {
        // The kernel has sent those of /dev/fuse again.
        guard transport == .uring else { return 0 }
        guard let before = connection.countRequests() else { return nil }
        let waiting = FUSEControl.waiting(connectionID: connectionID)
        // What is under way may keep others in the kernel; what waits for a lock does not.
        guard let after = connection.countRequests(), after == before,
            waiting == before.inHand || before.inHand == before.waiting
        else { return nil }
        return max(0, waiting - before.inHand)
    }

    /// Serves on what a process served that has ended. `descriptors` are all that it had, and become
    /// this mount's, also where this throws; the connection stays while a holder has its own.
    ///
    /// Requests that were in the ended process's hands are handed out again, but for those that make or
    /// remove names, which fail with EIO: whether they were done, nobody knows. The handler may so see
    /// one that was carried out before. Of those that nobody can read any more, on io_uring, who made
    /// them is told EAGAIN.
    ///
    /// The ended process must have no LUN I/O under way any more: a write of it that lands late would
    /// land on what was written since. The payloads' sizes are those of `state`.
    public static func adopt(
        _ state: FUSEMountState, descriptors: [Int32], options: FUSEMountOptions,
        handler: Handler, logger: Logger = Logger(label: "covolume.fuse")
    ) throws(FUSEMountError) -> FUSEMount<Handler> {
        let connection = FUSEConnection(logger: logger)
        let flags = FUSEInitFlags(rawValue: state.flags)
        let isRing = flags.contains(.overUring)
        guard state.workers > 0, state.workers <= FUSELimits.workersMaximum,
            state.rings.count == (isRing ? state.workers : 0),
            descriptors.count == state.workers + state.rings.count
        else {
            for descriptor in descriptors { close(descriptor) }
            throw FUSEMountError(
                .adopt, state.path, .invalid, detail: "what was kept of it is not whole")
        }
        let channels = descriptors.prefix(state.workers).map {
            FUSEChannel(descriptor: $0, connection: connection)
        }
        var options = options
        options.maximumReadBytes = state.maximumReadBytes
        options.maximumWriteBytes = state.maximumWriteBytes
        options.workers = channels.count
        options.check()
        var starter = FUSEWorkerStarter(
            connectionID: state.connectionID, slotCount: options.slotsPerWorker,
            decoder: FUSEDecoder(
                setxattrExtended: flags.contains(.setxattrExtended),
                readMaximumBytes: state.maximumReadBytes,
                writeMaximumBytes: state.maximumWriteBytes),
            handler: handler)
        do throws(ErrorCode) {
            if isRing {
                var files = Array(descriptors.dropFirst(state.workers))
                defer { for file in files { close(file) } }
                for ring in state.rings {
                    let file = files.removeFirst()
                    starter.memories.append(try FUSERingMemory(adopting: ring, file: file))
                }
                guard let processors = FUSEProcessors() else { throw .notSupported }
                starter.slotCount = FUSELimits.deviceSlotsBesideRing
                starter.plans = FUSERingPlan.plans(options: options, processors: processors)
                starter.unseen = FUSELostRequests.unseen(
                    in: starter.memories,
                    waiting: FUSEControl.waiting(connectionID: state.connectionID))
            } else {
                // Before any worker: its own requests would be sent again too.
                let resent = covol_fuse_resend(channels[0].descriptor)
                if resent != 0 { throw ErrorCode(-resent) }
            }
            try starter.start(channels, connection: connection) {
                // What nobody serves would wait for ever.
                _ = FUSEControl.abort(connectionID: state.connectionID, path: state.path)
            }
        } catch { throw FUSEMountError(.adopt, state.path, error) }
        let mount = FUSEMount(
            handler: handler, path: state.path, connectionID: state.connectionID,
            connection: connection, flags: flags, protocolMinor: state.protocolMinor,
            options: options)
        mount.log(logger, options, "adopted")
        return mount
    }
}
