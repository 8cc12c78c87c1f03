import ClusterStore
import Foundation
import Glibc
import Logging
import Synchronization
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A volume that a process before this one served in the same life.
struct ResumedVolume: Sendable {
    var mount: ResumedMount
    /// Of its path.
    var key: UInt64?
    var hasPath: Bool
    /// The epoch that the process before coordinated.
    var endedEpoch: Epoch?
}

/// The life of a node in a cluster that goes on in another process of its daemon (decision 18): the
/// process before has ended, with nothing of its I/O left, and nobody has fenced it meanwhile.
final class Resumption: Sendable {
    /// So long the process before may take to end, and its I/O.
    private static let endSeconds = 10.0
    private static let drainSeconds = 60.0
    private static let storeSeconds = 8.0
    /// A request that ends one daemon after the other must not do so for ever.
    private static let attemptsMaximum = 8

    let incarnation: Incarnation
    private let volumes: Mutex<[VolumeID: ResumedVolume]>

    private init(incarnation: Incarnation, volumes: [VolumeID: ResumedVolume]) {
        self.incarnation = incarnation
        self.volumes = Mutex(volumes)
    }

    subscript(_ volume: VolumeID) -> ResumedVolume? { volumes.withLock { $0[volume] } }

    /// A volume's mount is served again.
    func ended(_ volume: VolumeID) { volumes.withLock { $0[volume] = nil } }

    /// All are.
    var isOver: Bool { volumes.withLock { $0.isEmpty } }

    /// Nil: there is nothing to go on with, or it must not be; then nothing of it is left.
    static func find(
        _ keeper: MountKeeper, cluster: String, _ configuration: NodeConfiguration,
        store: any ClusterStore, log: Logger
    ) async -> Resumption? {
        var left: [(record: KeptMount, descriptors: [Int32])] = []
        do {
            left = try keeper.take()
            guard let first = left.first?.record else { return nil }
            for (record, descriptors) in left {
                guard record.version == KeptMount.version, record.cluster == cluster,
                    record.node == configuration.node, record.incarnation == first.incarnation
                else { throw NodeError("what was kept is of another life") }
                guard record.attempts < attemptsMaximum else {
                    throw NodeError("\(record.attempts) daemons in a row have ended soon")
                }
                try keeper.keepAgain(record, descriptors)
            }
            try await waitForEnd(of: first)
            let volumes = try await takeUp(
                left, Incarnation(first.incarnation), configuration, store)
            log.notice(
                "this daemon goes on where the one before ended",
                metadata: [
                    "incarnation": "\(first.incarnation)", "volumes": "\(volumes.count)",
                ])
            return Resumption(incarnation: Incarnation(first.incarnation), volumes: volumes)
        } catch {
            log.error(
                "what the daemon before served ends: files that were open fail",
                metadata: ["error": "\(error)"])
            keeper.dropAll()
            for descriptor in left.map(\.descriptors).joined() { close(descriptor) }
            return nil
        }
    }

    /// The holder gives away only what nobody is connected for: the last thread of the process before has
    /// closed its files by then. This looks at the rest of it.
    private static func waitForEnd(of record: KeptMount) async throws {
        let deadline = Date().addingTimeInterval(endSeconds)
        while ProcessFence.startTime(record.process) == record.processStart {
            guard Date() < deadline else {
                throw NodeError("the daemon before, process \(record.process), is still there")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Takes every attachment of that life over, in one transaction: a fence of it that has been or is
    /// being recorded makes that fail.
    private static func takeUp(
        _ left: [(record: KeptMount, descriptors: [Int32])], _ incarnation: Incarnation,
        _ configuration: NodeConfiguration, _ store: any ClusterStore
    ) async throws -> [VolumeID: ResumedVolume] {
        let snapshots = try await snapshots(of: store)
        let me = NodeIdentity(name: configuration.node, incarnation: incarnation)
        var volumes: [VolumeID: ResumedVolume] = [:]
        var compares: [StoreCompare] = []
        var changes: [StoreOperation] = []
        let own = ProcessFence.own
        for snapshot in snapshots {
            let text = snapshot.record.id
            let kept = left.first { $0.record.volume == text }
            let attachment = snapshot.attachments[me.name]
            guard let attachment, attachment.value.incarnation == incarnation.number else {
                if kept != nil { throw NodeError("this node was fenced meanwhile") }
                continue
            }
            guard let kept, let id = VolumeID(text) else {
                throw NodeError("\(snapshot.record.name) was in use, and its mount was not kept")
            }
            guard
                let mount = ResumedMount(
                    state: kept.record.mount, descriptors: kept.descriptors)
            else { throw NodeError("what was kept of \(snapshot.record.name) is not whole") }
            let device = configuration.devices[snapshot.record.device] ?? snapshot.record.device
            let owner = snapshot.owner?.value
            let isMine = owner?.identity == me && owner?.phase != .released
            // A path that is proven to be cut lets nothing through any more.
            if attachment.value.hasPath || attachment.value.isUnproven == true || isMine {
                try await drain(device, wasMounted: isMine)
            }
            volumes[id] = ResumedVolume(
                mount: mount, key: attachment.value.key, hasPath: attachment.value.hasPath,
                endedEpoch: isMine ? owner.map { Epoch($0.epoch) } : nil)
            var next = attachment.value
            next.process = own?.process
            next.processStart = own?.start
            let key = StoreKeys.attachment(text, me.name)
            compares.append(.modRevision(key, .equal, attachment.entry.modRevision))
            changes.append(try .putJSON(key, next))
        }
        guard volumes.count == left.count else {
            throw NodeError("a volume is not the cluster's any more")
        }
        guard try await store.transaction(compares: compares, success: changes).succeeded else {
            throw NodeError("this node's attachments changed meanwhile")
        }
        return volumes
    }

    /// The store may be starting again as well.
    private static func snapshots(of store: any ClusterStore) async throws -> [VolumeSnapshot] {
        let deadline = Date().addingTimeInterval(storeSeconds)
        while true {
            do {
                return try await RecordReader(store: store).read()
            } catch  where Date() < deadline {
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Waits until nothing of the process before is left at the LUN: what it had sent outlives it (rule
    /// drained-before-rejoin), and so does its mount of the file system, which the kernel takes down by
    /// itself, with writes. One moment without either is enough, for nobody begins anew.
    private static func drain(_ lun: String, wasMounted: Bool) async throws {
        let deadline = Date().addingTimeInterval(drainSeconds)
        while try wasMounted && isMounted(lun) || hasRequests(lun) {
            guard Date() < deadline else {
                throw NodeError("\(lun) is still in use by the daemon before")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// The kernel has a file system on a LUN. Throws where that cannot be told.
    private static func isMounted(_ lun: String) throws -> Bool {
        guard try deviceNumber(lun) != nil else { return try isBehindLoop(lun) }
        // A mounted device is claimed: open(2), O_EXCL.
        let descriptor = open(lun, O_RDONLY | O_EXCL | O_CLOEXEC)
        if descriptor >= 0 {
            close(descriptor)
            return false
        }
        guard errno == EBUSY else {
            throw NodeError("\(lun) cannot be opened: \(String(cString: strerror(errno)))")
        }
        return true
    }

    /// A LUN that is a file is mounted by a loop device, loop(4).
    private static func isBehindLoop(_ lun: String) throws -> Bool {
        let lun = URL(fileURLWithPath: lun).resolvingSymlinksInPath().path
        let devices = try FileManager.default.contentsOfDirectory(atPath: "/sys/block")
        return devices.contains { name in
            // A loop device without a file has none of this.
            guard name.hasPrefix("loop"),
                let file = try? String(
                    contentsOfFile: "/sys/block/\(name)/loop/backing_file", encoding: .utf8)
            else { return false }
            return file.trimmingCharacters(in: .newlines) == lun
        }
    }

    /// The device has requests under way. What a process had sent to a LUN that is a file has ended with
    /// the process's threads.
    private static func hasRequests(_ lun: String) throws -> Bool {
        guard let number = try deviceNumber(lun) else { return false }
        let text = try String(
            contentsOfFile: "/sys/dev/block/\(number)/inflight", encoding: .utf8)
        return text.split(whereSeparator: \.isWhitespace).contains { $0 != "0" }
    }

    /// Of a block device, as sysfs has it, makedev(3); nil: it is none.
    private static func deviceNumber(_ path: String) throws -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw NodeError("\(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFBLK else { return nil }
        let device = UInt64(status.st_rdev)
        let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
        let minor = device & 0xff | device >> 12 & ~0xff
        return "\(major):\(minor)"
    }
}
