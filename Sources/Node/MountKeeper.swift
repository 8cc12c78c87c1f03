import FUSE
import Foundation
import Glibc
import Handover
import Logging
import Synchronization
import VolumeModel
import VolumeMount
import VolumeProtocol

/// What is kept of a mount beside its descriptors.
struct KeptMount: Codable, Sendable {
    static let version = 1

    var version = KeptMount.version
    var cluster: String
    var node: String
    var incarnation: UInt64
    /// The daemon that served it.
    var process: Int32
    var processStart: UInt64
    var volume: String
    /// How many daemons in a row have gone on with it, and not for long.
    var attempts: Int
    var mount: FUSEMountState
}

/// This daemon's side of `covol-holder`: has the mounts' descriptors kept, so that the next daemon can
/// go on with them. Where there is no holder all works, but a restart ends what is open.
final class MountKeeper: Sendable {
    /// How long requests wait for a daemon before they fail.
    private static let graceSeconds = 60

    /// Nil where there is no holder, and never will be.
    private let program: String?
    private let socket: String
    private let connection = Mutex<HolderClient?>(nil)
    private let cluster: String
    private let node: String
    private let incarnation = Mutex(Incarnation(0))
    private let attempts = Mutex(0)
    private let kept = Mutex<Set<String>>([])
    private let log: Logger

    init(configuration: NodeConfiguration, cluster: String, log: Logger) {
        self.log = log
        self.cluster = cluster
        node = configuration.node
        socket = configuration.state + "/holder.sock"
        do {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let program = (own as NSString).deletingLastPathComponent + "/covol-holder"
            guard access(program, X_OK) == 0 else {
                throw NodeError("\(program) is missing: install it beside covold")
            }
            self.program = program
        } catch {
            program = nil
            log.warning("\(Self.nobodyKeeps)", metadata: ["error": "\(error)"])
            return
        }
        do { try connect() } catch {
            log.warning("\(Self.nobodyKeeps)", metadata: ["error": "\(error)"])
        }
    }

    private static let nobodyKeeps =
        "nobody keeps this node's mounts: a restart of the daemon ends what is open"

    private var client: HolderClient? { connection.withLock { $0 } }

    private func connect() throws {
        guard let program else { return }
        let client = try HolderClient(
            socket: socket, program: program, graceSeconds: Self.graceSeconds)
        connection.withLock { $0 = client }
    }

    /// Looks whether the holder is there, and starts another where it was killed. Blocks for seconds at
    /// most.
    /// - Returns: true where it is a new one, which has to be given everything.
    func lookAfterHolder() -> Bool {
        guard program != nil else { return false }
        if let client, (try? client.names()) != nil { return false }
        do {
            try connect()
            return true
        } catch {
            log.debug("there is no holder yet", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// The life under which mounts are kept.
    func use(_ incarnation: Incarnation) { self.incarnation.withLock { $0 = incarnation } }

    /// So many daemons in a row have gone on with what is kept, this one too.
    func count(attempts: Int) { self.attempts.withLock { $0 = attempts } }

    func keep(_ volume: VolumeID, _ mount: VolumeMount) {
        guard program != nil, let own = ProcessFence.own else { return }
        let incarnation = incarnation.withLock { $0.number }
        let result = mount.withHandover { state, descriptors in
            let record = KeptMount(
                cluster: cluster, node: node, incarnation: incarnation, process: own.process,
                processStart: own.start, volume: volume.description,
                attempts: attempts.withLock { $0 }, mount: state)
            return Result { try keep(record, descriptors) }
        }
        do {
            guard let result else { throw NodeError("this kernel cannot (Linux 6.9 or newer can)") }
            try result.get()
        } catch {
            log.warning(
                "a mount is not kept: a restart of the daemon ends what is open there",
                metadata: ["error": "\(error)"])
        }
    }

    /// Keeps what was taken from the holder as this daemon's, before anything is done with it: should
    /// that end the daemon, the next one knows.
    func keepAgain(_ record: KeptMount, _ descriptors: [Int32]) throws {
        guard let own = ProcessFence.own else {
            throw NodeError("/proc does not tell of this process")
        }
        var record = record
        record.process = own.process
        record.processStart = own.start
        record.attempts += 1
        count(attempts: record.attempts)
        try keep(record, descriptors)
    }

    private func keep(_ record: KeptMount, _ descriptors: [Int32]) throws {
        guard let client else { throw NodeError("there is no holder") }
        try client.keep(
            record.volume, record: [UInt8](try JSONEncoder().encode(record)),
            descriptors: descriptors)
        kept.withLock { _ = $0.insert(record.volume) }
    }

    func drop(_ volume: VolumeID) {
        guard kept.withLock({ $0.remove(volume.description) }) != nil else { return }
        drop(volume.description)
    }

    func dropAll() {
        let names = kept.withLock { kept in
            defer { kept = [] }
            return kept
        }
        for name in names { drop(name) }
    }

    private func drop(_ name: String) {
        do {
            try client?.drop(name)
        } catch {
            // It gives it up by itself once this daemon is gone.
            log.warning("a mount stays kept that is over", metadata: ["error": "\(error)"])
        }
    }

    /// What a daemon before left: this one is to go on with all of it, or to ``dropAll()``. Throws where
    /// it is not whole.
    func take() throws -> [(record: KeptMount, descriptors: [Int32])] {
        guard let client else { return [] }
        var taken: [(record: KeptMount, descriptors: [Int32])] = []
        do {
            for name in try client.names() {
                let (bytes, descriptors) = try client.take(name)
                kept.withLock { _ = $0.insert(name) }
                do {
                    taken.append(
                        (
                            try JSONDecoder().decode(KeptMount.self, from: Data(bytes)),
                            descriptors
                        ))
                } catch {
                    for descriptor in descriptors { close(descriptor) }
                    throw NodeError("it is of another version: \(error)")
                }
            }
        } catch {
            for descriptor in taken.map(\.descriptors).joined() { close(descriptor) }
            throw error
        }
        return taken
    }
}
