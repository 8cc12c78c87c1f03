import CLinux
import Dispatch
import FUSE
import Glibc
import Logging
import Synchronization
import VolumeModel

/// Whoever waits for an operation.
enum LUNClient: Sendable {
    /// A read or write.
    case slot(FUSESlot)
    /// A flush or discard.
    case reply(FUSEReplyPort)
}

/// A LUN with several paths: one FUSE mount for each, so that what one path holds is in no other's
/// way, and a control socket.
///
/// All members may be used from any thread; ``stop()`` and what ``ControlServer`` calls may block.
public final class SimulatedLUN: Sendable {
    public let configuration: LUNConfiguration
    let model: Mutex<LUNModel<LUNClient>>
    /// Buffered, so that all paths share the image's page cache: the array's own, which no path's
    /// failure loses.
    let image: Int32
    let sizeBytes: UInt64
    let flusher: LUNFlusher
    private let discards = DispatchQueue(label: "covolume.lun.discard")
    private let delays = DispatchQueue(label: "covolume.lun.delay")
    /// Held by the SCSI command that is being carried out.
    private let commands = Mutex<Void>(())
    private let mounts = Mutex<[FUSEMount<PathServer>]>([])
    private let isStopped = Atomic(false)
    let logger: Logger

    private init(
        _ configuration: LUNConfiguration, image: Int32, sizeBytes: UInt64, logger: Logger
    ) {
        self.configuration = configuration
        self.image = image
        self.sizeBytes = sizeBytes
        self.logger = logger
        flusher = LUNFlusher(descriptor: image)
        model = Mutex(
            LUNModel(
                paths: configuration.paths, sizeBytes: sizeBytes,
                target: ReservationTarget(
                    paths: configuration.paths,
                    supportsPersistence: configuration.supportsPersistence), log: AccessLog()))
    }

    deinit { close(image) }

    /// Opens the image and mounts every path; returns when all are served. Needs root.
    public static func start(
        _ configuration: LUNConfiguration,
        logger: Logger = Logger(label: "covolume.lun")
    ) throws -> SimulatedLUN {
        try configuration.validate()
        let path = configuration.image
        let image = open(path, O_RDWR | O_CLOEXEC)
        guard image >= 0 else { throw LUNError.system("open", path) }
        // Two simulators would not know of each other's reservations.
        guard flock(image, LOCK_EX | LOCK_NB) == 0 else {
            close(image)
            throw LUNError("\(path) is in use by another simulator: end that one first")
        }
        let size = lseek(image, 0, SEEK_END)
        guard size > 0, size % off_t(Limits.blockSizeBytes) == 0 else {
            close(image)
            throw LUNError(
                "\(path) has \(size) bytes: a LUN is one or more whole blocks of "
                    + "\(Limits.blockSizeBytes)")
        }
        let lun = SimulatedLUN(
            configuration, image: image, sizeBytes: UInt64(size), logger: logger)
        do {
            try lun.mountPaths()
        } catch {
            lun.stop()
            throw error
        }
        return lun
    }

    private func mountPaths() throws {
        try PathFiles.prepare(configuration)
        var options = FUSEMountOptions(subtype: "covolume-lun", sourceName: "covolume-lun")
        options.rootIsFile = true
        // Each path has its own; the image is the same.
        options.workers = min(options.workers, 4)
        // A path that hangs holds all that its clients have under way.
        options.slotsPerWorker = 512
        options.maximumBackground = 4096
        options.congestionThreshold = 3072
        for (index, name) in configuration.paths.enumerated() {
            let mount = try FUSEMount.mount(
                at: PathFiles.path(configuration, name), options: options,
                handler: PathServer(lun: self, path: index), logger: logger)
            mounts.withLock { $0.append(mount) }
        }
    }

    /// Fails everything, waits for what the image has taken, and unmounts. A second call does nothing.
    public func stop() {
        guard !isStopped.exchange(true, ordering: .sequentiallyConsistent) else { return }
        for index in configuration.paths.indices { _ = apply(.set(.cut), path: index) }
        let mounts = mounts.withLock { mounts in
            defer { mounts = [] }
            return mounts
        }
        for mount in mounts {
            do {
                try mount.unmount()
            } catch {
                // Someone has the path open: it fails for them from here on.
                try? mount.abort()
                try? mount.unmount(lazy: true)
            }
        }
        PathFiles.remove(configuration)
    }

    func pathIndex(_ name: String) -> Int? { configuration.paths.firstIndex(of: name) }

    static var nowNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    // MARK: Changes

    /// Changes a path's fault, and returns when it is in force: after a cut nothing of the path
    /// lands any more. False: writes stayed at the image for too long.
    func apply(_ command: LUNModel<LUNClient>.FaultCommand, path: Int) -> Bool {
        carryOut(model.withLock { $0.apply(command, path: path) })
    }

    /// Executes a SCSI command; nil where the image kept what it aborted for too long.
    func execute(cdb: [UInt8], dataOut: [UInt8], path: Int) -> SCSIResponse? {
        // One command after the other: nobody may see a key gone before what was sent under it is.
        commands.withLock { _ in
            let (response, effects) = model.withLock {
                $0.execute(cdb: cdb, dataOut: dataOut, path: path)
            }
            return carryOut(effects) ? response : nil
        }
    }

    func connectionEnded(path: Int, reason: FUSEEndReason) {
        logger.info(
            "path ended",
            metadata: ["path": "\(configuration.paths[path])", "reason": "\(reason)"])
        _ = carryOut(model.withLock { $0.connectionEnded(path: path) })
    }

    private func carryOut(_ effects: LUNModel<LUNClient>.Effects) -> Bool {
        for (client, error) in effects.failed { Self.fail(client, error) }
        for (operation, client) in effects.resumed { bringBack(operation, client) }
        let deadline = Self.nowNanoseconds + UInt64(LUNLimits.drainSeconds * 1e9)
        while model.withLock({ $0.isAnyUnderWay(effects.awaited) }) {
            guard Self.nowNanoseconds < deadline else { return false }
            usleep(200)
        }
        return true
    }

    static func fail(_ client: LUNClient, _ error: ErrorCode) {
        switch client {
        case .slot(let slot): slot.replyError(error)
        case .reply(let port): port.error(error)
        }
    }

    /// Where an operation goes on: a slot on its worker's thread.
    private func bringBack(_ operation: UInt64, _ client: LUNClient) {
        switch client {
        case .slot(let slot): slot.perform(tag: operation)
        case .reply(let port): resume(operation, port)
        }
    }

    func later(milliseconds: Int, _ operation: UInt64, _ client: LUNClient) {
        delays.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) {
            if self.model.withLock({ $0.wake(operation) }) {
                self.bringBack(operation, client)
            }
        }
    }

    // MARK: Flushes and discards

    func begin(
        _ kind: LUNModel<LUNClient>.Kind, path: Int, offset: UInt64 = 0, length: UInt64 = 0,
        _ port: FUSEReplyPort
    ) {
        let (verdict, operation) = model.withLock {
            $0.begin(
                kind, path: path, offsetBytes: offset, lengthBytes: length, client: .reply(port),
                nanoseconds: Self.nowNanoseconds)
        }
        follow(verdict, operation, port)
    }

    private func resume(_ operation: UInt64, _ port: FUSEReplyPort) {
        follow(model.withLock { $0.resume(operation) }, operation, port)
    }

    private func follow(
        _ verdict: LUNModel<LUNClient>.Verdict, _ id: UInt64, _ port: FUSEReplyPort
    ) {
        switch verdict {
        case .hold: break
        case .delay(let milliseconds):
            later(milliseconds: milliseconds, id, .reply(port))
        case .fail(let error): port.error(error)
        case .start: perform(id, port)
        }
    }

    private func perform(_ id: UInt64, _ port: FUSEReplyPort) {
        guard let operation = model.withLock({ $0.operation(id) }) else {
            preconditionFailure("no operation \(id)")
        }
        let done = { @Sendable (error: ErrorCode?) in
            self.model.withLock {
                $0.finish(id, error: error, nanoseconds: Self.nowNanoseconds)
            }
            if let error { port.error(error) } else { port.ok() }
        }
        guard operation.kind == .discard else { return flusher.flush(done) }
        discards.async { [image] in
            let result = covol_fallocate(
                image, Int32(FallocateMode.punchHole | FallocateMode.keepSize),
                operation.offsetBytes, operation.lengthBytes)
            done(result == 0 ? nil : ErrorCode(-result))
        }
    }
}
