import ClusterCore
import ClusterStore
import Fencing
import Foundation
import Glibc
import Logging
import Synchronization
import Transport
import VolumeModel
import VolumeMount
import VolumeProtocol

/// This node's path to one volume's LUN: its reservation key, the proof that nothing of it can land any
/// more, and the fence of others.
final class PathKeeper: Sendable {
    private let context: NodeContext
    private let volume: VolumeID
    /// The LUN as this node opens it.
    let device: String
    private let found = Mutex<Reservations>(.unknown)
    private let log: Logger
    private let key = Mutex<ReservationKey?>(nil)
    private let registered = Mutex(false)
    private let problem = Mutex<String?>(nil)
    /// Why the path could not be cut, as it was told last.
    private let lastProblem = Mutex<String?>(nil)

    init(context: NodeContext, volume: VolumeID, device: String, log: Logger) {
        self.log = log
        self.context = context
        self.volume = volume
        self.device = device
    }

    private enum Reservations {
        /// The LUN could not be asked yet.
        case unknown
        case none
        case some(VolumeReservations)
    }

    private var reservations: VolumeReservations? {
        if case .some(let found) = found.withLock({ $0 }) { found } else { nil }
    }

    /// The path is this life's to use: it has its key, where the LUN has reservations.
    var isRegistered: Bool { registered.withLock { $0 } }

    /// The LUN can abort what a path has sent.
    var hasReservations: Bool { reservations != nil }

    /// Why the fence is none now; nil where it is one.
    var fenceProblem: String? { problem.withLock { $0 } }

    /// A node whose lease has lapsed is stopped by its fence; its mapped I/O may go on until then.
    /// Not so with a watchdog: what it counts on is that direct I/O has stopped with the lease.
    var outlivesLease: Bool { reservations != nil || context.configuration.fence == .process }

    /// By what a lost node is cut off from this volume, for people; nil: by nothing.
    var fenceName: String? {
        if reservations != nil { return FenceKind.reservations.rawValue }
        if !context.configuration.fenceAgents.isEmpty { return FenceKind.agent.rawValue }
        if context.configuration.watchdog != nil { return FenceKind.watchdog.rawValue }
        return context.configuration.fence == .process ? "process" : nil
    }

    /// The path's reservations, where its target has them; throws where it cannot be asked.
    private static func reservations(
        of device: String, _ context: NodeContext
    ) throws -> Reservations {
        if let socket = context.configuration.reservationSocket,
            let path = context.configuration.reservationPath
        {
            let simulator = SimulatorTransport(socket: socket, path: path)
            return .some(VolumeReservations(paths: [PersistentReservations(simulator)]))
        }
        let descriptor = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw NodeError(
                "\(device) cannot be opened: \(String(cString: strerror(errno))); check that this "
                    + "node has a path to the LUN")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else {
            return .none
        }
        do throws(FenceError) {
            return .some(try VolumeReservations.ofDevice(device))
        } catch {
            switch error {
            case .transport, .timedOut: throw error
            default: break
            }
            context.log.notice(
                "the LUN has no persistent reservations to fence with",
                metadata: ["device": "\(device)", "reason": "\(error)"])
            return .none
        }
    }

    /// Which paths answer may have changed; what kind of LUN it is has not. Blocks.
    private func look() throws {
        let before = found.withLock { $0 }
        if case .none = before { return }
        let asked = try Self.reservations(of: device, context)
        if case (.some, .none) = (before, asked) {
            throw NodeError("\(device) had persistent reservations, and now it has none")
        }
        found.withLock { $0 = asked }
    }

    /// Registers a new key, before anything else uses the path. Blocks.
    func register() throws -> UInt64? {
        try look()
        guard let reservations else {
            registered.withLock { $0 = true }
            return nil
        }
        var generator = SystemRandomNumberGenerator()
        let fresh = ReservationKey.random(using: &generator)
        let attachment = try reservations.attach(fresh)
        for problem in attachment.warnings {
            log.warning("\(problem)", metadata: ["device": "\(device)"])
        }
        problem.withLock { $0 = attachment.fenceProblem }
        key.withLock { $0 = fresh }
        registered.withLock { $0 = true }
        return fresh.number
    }

    /// An earlier process of this life registered it. Where the LUN cannot be asked, the path is not
    /// used before ``restorePath(mayRegister:)``. Blocks.
    func resume(key number: UInt64?, isRegistered: Bool) {
        key.withLock { $0 = number.flatMap { ReservationKey($0) } }
        registered.withLock { $0 = isRegistered }
        guard isRegistered else { return }
        do {
            let isThere = try hasKey()
            registered.withLock { $0 = isThere }
        } catch {
            registered.withLock { $0 = false }
            log.warning(
                "this node's path cannot be gone on with yet", metadata: ["error": "\(error)"])
        }
    }

    /// Gives the key back, at a clean end. Blocks.
    func unregister() {
        guard let reservations, let mine = key.withLock({ $0 }) else { return }
        do throws(FenceError) {
            try reservations.detach(mine)
        } catch {
            log.warning("the reservation key stays", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Fencing others

    /// Cuts a node, or its path, off from the LUN: the ladder from the gentlest rung on.
    func fence(
        _ node: String, _ victim: AttachmentRecord, _ scope: FenceScope
    ) async -> FenceOutcome {
        var rungs: [FenceLadder.Rung] = []
        if let reservations {
            rungs.append(
                .init(.reservations) { [self] in
                    await preempt(victim.key, reservations)
                })
        }
        if scope == .node, let agent = context.configuration.fenceAgents[node] {
            rungs.append(
                .init(.agent) {
                    (try? await Blocking.run { agent.fence(node: node) })
                        ?? .notProven("the fence agent could not be run")
                })
        }
        if scope == .node, let wait = victim.watchdogWaitSeconds {
            rungs.append(
                .init(.watchdog) { [context] in
                    await Self.waitForWatchdog(of: node, seconds: wait, context)
                })
        }
        if scope == .node, context.configuration.fence == .process,
            let process = victim.process, let start = victim.processStart
        {
            rungs.append(
                .init(.none) {
                    (try? await Blocking.run { ProcessFence.end(process, startedAt: start) })
                        ?? .notProven("the fence could not be run")
                })
        }
        return await FenceLadder.climb(rungs).outcome
    }

    /// Proven where the node is no member from now on until the wait is over, under no life at all: one
    /// that came back was not reset.
    private static func waitForWatchdog(
        of node: String, seconds: Double, _ context: NodeContext
    ) async -> FenceOutcome {
        let clock = Fencing.BootClock()
        let began = clock.nowSeconds
        return await WatchdogFence(waitSeconds: seconds).fence(node: node) {
            // Where the store does not answer nothing is known of the node.
            let found = try? await context.store.get(StoreKeys.node(node))
            return found.map { $0.entry == nil } ?? false ? began : clock.nowSeconds
        }
    }

    private func preempt(
        _ victim: UInt64?, _ reservations: VolumeReservations
    ) async -> FenceOutcome {
        let victim = victim.flatMap { ReservationKey($0) }
        guard let mine = key.withLock({ $0 }) else {
            return .notProven("this node has no key of its own on the LUN")
        }
        guard mine != victim else { return .notProven("that is this node's own key") }
        let run = try? await Blocking.run {
            // Without a key of its own the reservation keeps it out: that is read back as well.
            reservations.fence.fence(victims: victim.map { [$0] } ?? [], own: mine)
        }
        return run ?? .notProven("the fence could not be run")
    }

    /// Another node's key, at that node's wish.
    func preempt(_ victim: UInt64) async -> FenceOutcome {
        guard let reservations else { return .notProven("the volume has no reservations") }
        return await preempt(victim, reservations)
    }

    /// Asks the other nodes, one after the other, until one has proven that a key of this node's path
    /// is gone, with everything that was sent under it.
    func askOthersToFence(_ key: UInt64) async -> FenceOutcome {
        var problems: [String] = []
        for node in await context.otherMembers() {
            do {
                let client = try await context.peers().client(for: node, timeout: .seconds(2))
                let answer = try await client.call(
                    TransportMessage(
                        .fencePath, json: FencePathRequest(volume: volume.description, key: key)),
                    timeout: .seconds(5)
                ).decodedJSON(as: FencePathAnswer.self)
                if answer.isProven { return .proven("by \(node): \(answer.text)") }
                problems.append("\(node): \(answer.text)")
            } catch {
                problems.append("\(node): \(error)")
            }
        }
        return .notProven(
            problems.isEmpty
                ? "no other node is up that could prove it" : problems.joined(separator: "; "))
    }

    // MARK: This path, lost and taken back

    /// Proves that nothing this path has sent can land any more. False: not proven.
    func fencePath() async -> Bool {
        // The coordinator may have cut it already, because a recall was owed for too long.
        if await isCutByRecord() { return true }
        guard reservations != nil, let mine = key.withLock({ $0 }) else { return false }
        let started = ContinuousClock.now
        let outcome = await askOthersToFence(mine.number)
        guard outcome.isProven else {
            let isNews = lastProblem.withLock { last in
                defer { last = outcome.text }
                return last != outcome.text
            }
            if isNews {
                log.warning(
                    "this node's path is not proven to be cut",
                    metadata: ["reason": "\(outcome.text)"])
            }
            return false
        }
        await note { record in
            record.hasPath = false
            record.key = nil
            record.isUnproven = nil
        }
        log.notice(
            "this node's path was fenced, so that nothing of it lands late",
            metadata: ["seconds": "\(started.duration(to: .now))"])
        return true
    }

    /// The store says that the path of this life is proven to be fenced. It says so until
    /// ``restorePath(mayRegister:)`` has registered a new key, and nothing is sent under that before.
    func isCutByRecord() async -> Bool {
        let name = StoreKeys.attachment(volume.description, context.node)
        guard let found = try? await context.store.getJSON(name, as: AttachmentRecord.self) else {
            return false
        }
        return found.value.incarnation == context.incarnation.number && !found.value.hasPath
            && found.value.isUnproven != true
    }

    /// Takes the path into use again, and says so in the attachment first. Under its key where that is
    /// still registered: registering over it would abort nothing of what was sent before, and a fence
    /// would find the key that it looks for gone. `mayRegister`: nothing of this node's is on its way,
    /// and it may have a new one. False: not now.
    func restorePath(mayRegister: Bool) async -> Bool {
        do {
            let mine = try await Blocking.run { () throws -> UInt64?? in
                if try self.hasKey() { return .some(self.key.withLock { $0?.number }) }
                return mayRegister ? .some(try self.register()) : nil
            }
            guard let mine else { return false }
            return await note { record in
                record.hasPath = true
                record.isUnproven = nil
                record.key = mine
            }
        } catch {
            log.debug("the path cannot be used yet", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// This path has its key, and has had it since it was registered. Blocks.
    private func hasKey() throws -> Bool {
        guard isRegistered else { return false }
        try look()
        guard let reservations else { return true }
        guard let mine = key.withLock({ $0 }) else { return false }
        return try reservations.isRegistered(mine)
    }

    /// Changes this node's attachment, where it is still there for this life.
    @discardableResult
    private func note(_ change: (inout AttachmentRecord) -> Void) async -> Bool {
        let name = StoreKeys.attachment(volume.description, context.node)
        for _ in 0..<5 {
            do {
                guard
                    var found = try await context.store.getJSON(name, as: AttachmentRecord.self),
                    found.value.incarnation == context.incarnation.number
                else { return false }
                change(&found.value)
                if try await context.store.compareAndPutJSON(
                    name, modRevision: found.entry.modRevision, found.value) != nil
                {
                    return true
                }
            } catch {
                log.warning(
                    "the path's state was not noted", metadata: ["error": "\(error)"])
            }
        }
        return false
    }
}

/// One node to another: cut my path.
struct FencePathRequest: Codable {
    var volume: String
    var key: UInt64
}

struct FencePathAnswer: Codable {
    var isProven: Bool
    var text: String
}
