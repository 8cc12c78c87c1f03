import BlockDevice
import CoordinatorService
import Foundation
import HostFileSystem
import Logging
import VolumeModel
import VolumeProtocol

/// A coordinator with everything it stands on: the loop device of this epoch alone (rule fresh-mount),
/// the private mount, and the coordinator itself.
final class CoordinatorHost: Sendable {
    let coordinator: Coordinator
    let epoch: Epoch
    private let loop: LoopDevice
    private let volume: HostVolume

    /// Mounts and starts. Blocks.
    init(
        device: String, kind: FileSystemKind, epoch: Epoch, mark: VolumeMark,
        attached: [String], log: Logger, onFailure: @escaping @Sendable (ErrorCode) -> Void
    ) throws {
        let contents = try DeviceInspector.inspect(device)
        guard contents.holders.isEmpty else {
            throw NodeError(
                "\(device) is in use on this node: \(contents.holders.joined(separator: "; "))")
        }
        guard let found = contents.fileSystem, found.kind == kind else {
            throw NodeError("\(device) does not hold the \(kind.rawValue) that it should")
        }
        let loop = try LoopDevice(
            attaching: device, logicalBlockSizeBytes: found.loopBlockSizeBytes)
        do {
            let volume = try HostVolume.mount(device: loop.path, kind: kind)
            do {
                coordinator = try Coordinator(
                    volume: volume, attached: attached, log: log, onFailure: onFailure)
                let encoder = JSONEncoder()
                encoder.outputFormatting = .sortedKeys
                try coordinator.writeMark(Array(encoder.encode(mark)))
            } catch {
                volume.close()
                throw error
            }
            self.volume = volume
        } catch {
            try? loop.detach()
            throw error
        }
        self.loop = loop
        self.epoch = epoch
    }

    /// How an epoch ended that was given up.
    enum End {
        /// It is unmounted. `hasFailed`: something could not be written, and may still land.
        case unmounted(hasFailed: Bool)
        /// Something keeps the mount: a hanging path, which ends with its fence, or a file in use.
        case hangs
    }

    /// Takes everything down without making anything durable any more: whoever comes next has the
    /// last word. Blocks, but does not wait for what hangs: `onCleared` is called once the unmount is
    /// proven after all.
    func abandon(onCleared: @escaping @Sendable () -> Void) -> End {
        if coordinator.abandon(timeoutSeconds: Self.patienceSeconds) {
            leave()
            if hasDetached() { return .unmounted(hasFailed: coordinator.hasFailed) }
        }
        Thread.detachNewThread { [self] in
            coordinator.stop()
            leave()
            while !hasDetached() { sleep(1) }
            onCleared()
        }
        return .hangs
    }

    private static let patienceSeconds = 1.0

    private func leave() {
        try? volume.shutdown(.noLogFlush)
        volume.close()
    }

    private func hasDetached() -> Bool { (try? detach()) != nil }

    private func detach() throws {
        try HostVolume.proveUnmounted(device: loop.path)
        try loop.detach()
    }

    /// Stops, unmounts, and proves it. Blocks.
    func stop(removingMark: Bool) throws {
        if removingMark { try coordinator.removeMark() }
        coordinator.stop()
        try volume.sync()
        volume.close()
        try detach()
    }
}

/// What `.covolume/volume.json` on a volume says: whose it is.
struct VolumeMark: Codable, Equatable {
    var cluster: String
    var clusterName: String
    var volume: String
}
