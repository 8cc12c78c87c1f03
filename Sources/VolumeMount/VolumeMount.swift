import CLinux
import FUSE
import FilterCore
import Glibc
import Logging
import Synchronization
import VolumeModel
import VolumeProtocol

/// A volume as one node shows it: the FUSE mount, this node's path to the LUN, and the filter between
/// them.
public final class VolumeMount: Sendable {
    let handler: MountHandler
    private let ledger: MountLedger
    /// What an earlier process held has not been given back yet.
    private let isResuming: Mutex<Bool>
    private let mount: FUSEMount<MountHandler>
    private let watch: LUNWatch

    /// Opens `device` with O_DIRECT and mounts at `path`, which must be an empty directory. Where the
    /// device cannot be opened the mount starts redirected, and looks for the path.
    ///
    /// - Parameters:
    ///   - source: what mount(8) shows as the device.
    ///   - pathGuard: proves that this path's writes have ended, and takes it into use again.
    ///   - hasPath: the path may be used at once; else the `pathGuard` has to restore it first.
    ///   - onState: called with every change of ``accessState``, in their order; must not block.
    ///   - onEnd: called once when the mount is over, whoever ended it.
    ///   - root: not needed where a mount is gone on with.
    ///   - resumed: go on with what an earlier process of this node served, whose I/O has ended; its
    ///     `path` then counts.
    public init(
        device: String, path: String, source: String, root: FileHandle?,
        link: any CoordinatorLink, pathGuard: any PathGuard, hasPath: Bool = true,
        rules: SafetyRules = .all, log: Logger, resumed: ResumedMount? = nil,
        onState: @escaping @Sendable (MountState) -> Void,
        onEnd: @escaping @Sendable (String) -> Void
    ) throws {
        let descriptor = hasPath ? open(device, O_RDWR | covol_o_direct | O_CLOEXEC) : -1
        if hasPath, descriptor < 0 {
            log.warning(
                "the LUN cannot be opened for direct I/O; check that this node has a path to it",
                metadata: ["device": "\(device)", "error": "\(String(cString: strerror(errno)))"])
        }
        let shownRoot: FileHandle
        do {
            ledger = try resumed.map { try MountLedger(adopting: $0.ledger) } ?? MountLedger()
            guard let root = root ?? ledger.root else { throw ErrorCode.invalid }
            shownRoot = root
        } catch {
            resumed?.closeDescriptors()
            if descriptor >= 0 { close(descriptor) }
            throw error
        }
        isResuming = Mutex(resumed != nil)
        let options = FUSEMountOptions(sourceName: source)
        handler = MountHandler(
            root: shownRoot, workers: options.workers, ledger: ledger,
            isResuming: resumed != nil, link: link, device: device,
            lun: descriptor < 0 ? nil : LUNPath(descriptor: descriptor),
            pathGuard: pathGuard, rules: rules, log: log, onState: onState,
            onEnd: { onEnd("\($0)") })
        watch = try MountHandler.watch(handler)
        do {
            if let resumed {
                mount = try FUSEMount.adopt(
                    resumed.state, descriptors: resumed.descriptors, options: options,
                    handler: handler, logger: log)
            } else {
                mount = try FUSEMount.mount(
                    at: path, options: options, handler: handler, logger: log)
            }
        } catch {
            watch.cancel()
            throw error
        }
        if descriptor < 0 { handler.handle(.reportedLost) }
    }

    deinit { watch.cancel() }

    public var counts: MountCounts {
        var counts = handler.statistics.counts
        handler.state.withLock { state in
            for lane in state.lanes.indices { counts.add(state.lanes[lane].counts) }
            counts.openFiles = state.opens.count
            counts.lostOpens = state.lostOpens
            counts.pathFailures = state.pathFailures
            counts.pathRestores = state.pathRestores
        }
        return counts
    }

    /// Answers a coordinator's recall once no direct I/O is left in the range.
    public func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport {
        await handler.recall(file, range, generation)
    }

    /// Drops what a coordinator granted of a file's attributes and a directory's names.
    public func recallMetadata(_ file: FileHandle) { handler.recallMetadata(file) }

    public func collectWrites(_ file: FileHandle) -> WriteReport { handler.collectWrites(file) }

    // MARK: The path

    /// How this node reaches the volume's data now.
    public var accessState: MountState { handler.accessState }

    /// Sets the reasons that hold for the volume as a whole. If there are any, returns when the last
    /// direct I/O has ended.
    public func setRedirected(_ reasons: Set<RedirectReason>) async {
        handler.handle(.redirected(reasons))
        guard !reasons.isEmpty else { return }
        while handler.state.withLock({ $0.filter.flightCount > 0 }) {
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    /// The node's lease has lapsed, and only the lease protects this volume: no new direct I/O, and
    /// what a read in flight brings is not shown (rule valid-at-completion).
    public func suspendDirect() {
        handler.state.withLock { $0.filter.revokeFlights() }
        handler.handle(.suspended(true))
    }

    /// The path is reported gone by whoever watches the device: nothing has to fail first.
    public func reportPathLost() { handler.handle(.reportedLost) }

    public func resumeDirect() { handler.handle(.suspended(false)) }

    /// When direct I/O must stop if nobody says otherwise until then, in nanoseconds of
    /// CLOCK_BOOTTIME; nil: never, the volume has a fence. A process that was stopped notices by this
    /// before any timer tells it.
    public func allowDirect(untilNanoseconds: UInt64?) {
        handler.state.withLock { $0.filter.directUntilNanoseconds = untilNanoseconds ?? .max }
    }

    /// Until when this node is a member of the cluster, in nanoseconds of CLOCK_BOOTTIME: what the map
    /// alone answers, without the LUN, it may answer so long (rule valid-at-completion).
    public func allowAnswersFromMap(untilNanoseconds: UInt64) {
        handler.state.withLock { $0.filter.memberUntilNanoseconds = untilNanoseconds }
    }

    // MARK: Coordinators

    /// There is no coordinator any more. Layouts, growths, opens and locks are kept; mapped reads and
    /// in-place writes go on.
    public func leave() async { handler.leaveCoordinator() }

    /// Tells a new coordinator what this node holds, through a link that fails with ENOTCONN once that
    /// coordinator is no more. False: it was lost meanwhile, and the next one has to be told anew.
    public func join(epoch: UInt64, through link: any CoordinatorLink) async -> Bool {
        let isResuming = isResuming.withLock { $0 }
        if isResuming {
            let isSame = ledger.sessionEpoch == epoch
            handler.state.withLock { $0.isBetweenCoordinators = !isSame }
        }
        guard await handler.joinCoordinator(through: link) else { return false }
        if isResuming {
            guard await handler.returnResumed(through: link) else { return false }
            self.isResuming.withLock { $0 = false }
        }
        ledger.sessionEpoch = epoch
        return true
    }

    /// It was made in a session with this epoch's coordinator.
    public func began(epoch: UInt64) { ledger.sessionEpoch = epoch }

    /// What another process needs to go on with the mount, its descriptors borrowed: those of the FUSE
    /// connection, and the ledger's file as the last. Nil where the kernel cannot.
    public func withHandover<Value>(_ body: (FUSEMountState, [Int32]) -> Value) -> Value? {
        guard let state = mount.state else { return nil }
        return mount.withDescriptors { descriptors in
            descriptors.isEmpty ? nil : body(state, descriptors + [ledger.file])
        }
    }

    /// Requests of an earlier process that were answered with EAGAIN, because they were lost with it.
    public var requestsTriedAgain: Int { mount.requestsTriedAgain }

    /// Requests that were lost with an earlier process, and wait for ever; nil: cannot be told now. May
    /// block for half a second.
    public func requestsWithNobody() -> Int? { mount.requestsWithNobody() }

    /// This node was fenced while it lived: what was open answers EIO from now on. Returns when none
    /// of its direct I/O is left (rule drained-before-rejoin).
    public func loseEverything() async { await handler.loseEverything() }

    // MARK: The mount

    /// Shows the volume at another path, which must be an empty directory; what is open stays open.
    public func move(to path: String) throws { try mount.move(to: path) }

    /// Where the volume is shown.
    public var path: String { mount.path }

    /// Takes the volume out of the tree. Not `lazy`: fails while something is open there. `onEnd`
    /// tells when the connection is over.
    public func unmount(lazy: Bool) throws { try mount.unmount(lazy: lazy) }

    /// Ends the connection at once: whatever is under way fails.
    public func abort() throws { try mount.abort() }

    /// Closes this node's path to the LUN, after the mount has ended; where I/O hangs on it, when that
    /// is over.
    public func closePath() {
        watch.cancel()
        let path = handler.state.withLock { state -> LUNPath? in
            state.isClosed = true
            state.followPath()
            guard state.inFlight == 0 else { return nil }
            defer { state.lun = nil }
            return state.lun
        }
        withExtendedLifetime(path) {}
    }

    /// The number under /sys/fs/fuse/connections.
    public var connectionID: UInt32 { mount.connectionID }
}

/// A mount of an earlier process of this node, with the descriptors that it had. They become the
/// mount's that goes on with it.
public struct ResumedMount: Sendable {
    var state: FUSEMountState
    var descriptors: [Int32]
    var ledger: Int32

    /// - Parameter descriptors: those of ``VolumeMount/withHandover(_:)``, in their order.
    public init?(state: FUSEMountState, descriptors: [Int32]) {
        guard let ledger = descriptors.last, descriptors.count > 1 else { return nil }
        self.state = state
        self.descriptors = Array(descriptors.dropLast())
        self.ledger = ledger
    }

    /// Where it is mounted.
    public var path: String { state.path }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }
}
