import CLinux
import FUSE
import FilterCore
import Glibc
import Logging
import VolumeModel
import VolumeProtocol

/// A volume as one node shows it: the FUSE mount, this node's path to the LUN, and the filter between
/// them.
public final class VolumeMount: Sendable {
    let handler: MountHandler
    private let mount: FUSEMount<MountHandler>
    private let lun: Int32

    /// Opens `device` with O_DIRECT and mounts at `path`, which must be an empty directory.
    ///
    /// - Parameters:
    ///   - source: what mount(8) shows as the device.
    ///   - onEnd: called once when the mount is over, whoever ended it.
    public init(
        device: String, path: String, source: String, root: FileHandle,
        link: any CoordinatorLink, rules: SafetyRules = .all, log: Logger,
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

    /// The session with a coordinator has ended: gives up every layout. What it returns goes to
    /// ``join(_:)`` once there is a new session.
    public func leave() async -> Handover { Handover(reports: await handler.leaveCoordinator()) }

    /// Takes up a session with a new coordinator.
    public func join(_ handover: Handover) async { await handler.joinCoordinator(handover.reports) }

    /// What a mount has to tell its next coordinator.
    public struct Handover: Sendable {
        let reports: [(FileHandle, WriteReport)]
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
