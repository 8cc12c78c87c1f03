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
    private let mount: FUSEMount<MountHandler>
    private let lun: Int32
    private let handover = Mutex<[(FileHandle, WriteReport)]>([])

    /// Opens `device` with O_DIRECT and mounts at `path`, which must be an empty directory.
    ///
    /// - Parameters:
    ///   - source: what mount(8) shows as the device.
    ///   - pathGuard: proves that this path's writes have ended, and takes it into use again.
    ///   - onState: called with every change of ``accessState``, in their order; must not block.
    ///   - onEnd: called once when the mount is over, whoever ended it.
    public init(
        device: String, path: String, source: String, root: FileHandle,
        link: any CoordinatorLink, pathGuard: any PathGuard, rules: SafetyRules = .all,
        log: Logger, onState: @escaping @Sendable (MountState) -> Void,
        onEnd: @escaping @Sendable (String) -> Void
    ) throws {
        let descriptor = open(device, O_RDWR | covol_o_direct | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw VolumeMountError(
                "\(device) cannot be opened for direct I/O: \(String(cString: strerror(errno))); "
                    + "check that this node has a path to the LUN")
        }
        lun = descriptor
        handler = MountHandler(
            root: root, link: link, lun: descriptor, rules: rules, log: log,
            onEnd: { onEnd("\($0)") })
        do {
            mount = try FUSEMount.mount(
                at: path, options: FUSEMountOptions(sourceName: source), handler: handler,
                logger: log)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    public var counts: MountCounts {
        var counts = handler.statistics.counts
        counts.openFiles = handler.state.withLock { $0.opens.count }
        return counts
    }

    /// Answers a coordinator's recall once no direct I/O is left in the range.
    public func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport {
        await handler.recall(file, range, generation)
    }

    public func collectWrites(_ file: FileHandle) -> WriteReport { handler.collectWrites(file) }

    /// How this node reaches the volume's data now.
    public var accessState: MountState { MountState(state: .direct) }

    /// Sets the reasons that hold for the volume as a whole. Returns when the last direct I/O has
    /// ended, if there are any.
    public func setRedirected(_ reasons: Set<RedirectReason>) async {}

    /// The node's lease has lapsed, and only the lease protects this volume: no new direct I/O.
    public func suspendDirect() {}

    public func resumeDirect() {}

    /// The session with a coordinator has ended. What is asked of it later waits for the next.
    public func leave() async {
        let reports = await handler.leaveCoordinator()
        handover.withLock { $0 = reports }
    }

    /// Takes up a session with a new coordinator: tells it what this node holds.
    public func join() async {
        await handler.joinCoordinator(handover.withLock { $0 })
    }

    /// This node's earlier session was ended as fenced: whatever it held is gone, for good.
    public func loseEverything() async {
        _ = await handler.leaveCoordinator()
    }

    /// Shows the volume at another path, which must be an empty directory; what is open stays open.
    public func move(to path: String) throws { try mount.move(to: path) }

    /// Where the volume is shown.
    public var path: String { mount.path }

    /// Takes the volume out of the tree. Not `lazy`: fails while something is open there. `onEnd`
    /// tells when the connection is over.
    public func unmount(lazy: Bool) throws { try mount.unmount(lazy: lazy) }

    /// Ends the connection at once: whatever is under way fails.
    public func abort() throws { try mount.abort() }

    /// Closes this node's path to the LUN; after the mount has ended.
    public func closePath() { Glibc.close(lun) }

    /// The number under /sys/fs/fuse/connections.
    public var connectionID: UInt32 { mount.connectionID }
}

public struct VolumeMountError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
