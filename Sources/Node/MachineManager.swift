import ClusterStore
import Foundation
import Logging
import MachineCore
import MachineSupervision
import VirtualMachines
import VolumeModel
import VolumeProtocol

/// The virtual machines of this node: follows the cluster's records, tells each ``MachineHost`` what
/// they say, and performs what it asks for. On the first of the members it also runs the scheduler.
actor MachineManager {
    let context: NodeContext
    let volumes: VolumeManager
    let log: Logger
    private var hosts: [String: MachineHost] = [:]
    var copies: [String: MachineProcess] = [:]
    /// Copies that are being started, and are not wanted any more.
    var unwanted: Set<String> = []
    private var known: [String: Decoded<MachineRecord>] = [:]
    /// Up to which revision of the store each record was looked at.
    private var seen: [String: StoreRevision] = [:]
    var details: [String: String] = [:]
    private var shown: [String: MachineStateRecord] = [:]
    var halted: [String: Halt] = [:]
    /// Those whose processors were stopped as their operators wanted.
    var paused: Set<String> = []
    private var isSettled = false
    let consoles = ConsoleSessions()

    init(context: NodeContext, volumes: VolumeManager) {
        self.context = context
        self.volumes = volumes
        log = context.log
    }

    /// Follows the records until it is cancelled. The machines run on then: their supervisors end them
    /// if no daemon comes back in time.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepFollowing() }
            group.addTask {
                // Apart from all else: no machine's lease waits for another machine's QEMU.
                while !Task.isCancelled {
                    await self.extendLeases()
                    try? await Task.sleep(for: .milliseconds(250))
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    await self.tick()
                    try? await Task.sleep(for: .milliseconds(250))
                }
            }
        }
    }

    /// The copies here end, so that their volumes can be given up: other nodes start their machines
    /// again. Who wants to spare them drains the node before.
    func stop() async {
        for process in copies.values { process.kill() }
        for process in copies.values { _ = await process.ended() }
        copies = [:]
    }

    private func keepFollowing() async {
        while !Task.isCancelled {
            do {
                if !isSettled { try await settle() }
                try await follow()
            } catch is CancellationError {
                return
            } catch {
                log.warning(
                    "the machines' records could not be followed", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func follow() async throws {
        let first = try await context.store.range(prefix: StoreKeys.machines).revision
        let (changes, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let prefixes = [
            StoreKeys.machines, StoreKeys.nodes, StoreKeys.attachments, StoreKeys.drains,
            StoreKeys.machineNodes,
        ]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for prefix in prefixes {
                let watch = context.store.watch(prefix: prefix, fromRevision: first + 1)
                group.addTask { for try await _ in watch { continuation.yield() } }
            }
            group.addTask {
                // Also now and then: failures grow old, and what could not be placed may be.
                while !Task.isCancelled {
                    continuation.yield()
                    try await Task.sleep(for: .seconds(2))
                }
            }
            group.addTask { for await _ in changes { try await self.reconcile() } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func reconcile() async throws {
        let snapshot = try await context.store.machineSnapshot()
        for name in Set(known.keys).union(snapshot.machines.keys) {
            take(snapshot.machines[name], of: name, at: snapshot.revision)
        }
        let members = snapshot.nodes.filter(\.value.isMember).keys
        guard members.min() == context.node, context.membership.isValid else { return }
        for decision in snapshot.scheduler().decisions() {
            try await carryOut(decision, snapshot)
        }
    }

    /// Puts a decision into the store, if its machine is still as it was.
    private func carryOut(_ decision: MachineDecision, _ snapshot: MachineSnapshot) async throws {
        guard let current = snapshot.machines[decision.machine] else { return }
        var next = current.value
        decision.apply(to: &next)
        guard next != current.value else { return }
        let revision = try await context.store.compareAndPutJSON(
            StoreKeys.machine(decision.machine), modRevision: current.entry.modRevision, next)
        if revision != nil { note(decision, after: current.value) }
    }

    private func note(_ decision: MachineDecision, after record: MachineRecord) {
        let volume = volumeName(record.volume)
        switch decision {
        case .place(let name, let node):
            guard let owner = record.owner ?? record.failures.last?.node else { return }
            context.events.note(
                .machineRestarted, .warning, volume: volume, node: node,
                cause: record.owner == nil ? record.reason : "\(owner) is lost",
                outcome: "starts on \(node)",
                "the machine \(name) is started again on \(node), after it ended on \(owner)")
        case .fail(let name, let reason):
            context.events.note(
                .machineFailed, .error, volume: volume, node: record.failures.last?.node,
                cause: reason, outcome: "left off",
                "the machine \(name) is not started again: \(reason); covol vm start \(name) tries "
                    + "once more")
        case .migrate, .cancel, .off: break
        }
    }

    // MARK: Events of the hosts

    /// What the store says of a machine, if that is news.
    func take(_ record: Decoded<MachineRecord>?, of name: String, at revision: StoreRevision) {
        let last = seen[name] ?? 0
        let own = record?.entry.modRevision ?? revision
        guard own >= last, revision >= last || record != nil else { return }
        seen[name] = max(last, own)
        known[name] = record
        deliver(.record(record?.value), to: name)
        if record == nil, hosts[name]?.copy == MachineHost.Copy.none {
            hosts[name] = nil
            known[name] = nil
        }
    }

    func record(of name: String) -> MachineRecord? { known[name]?.value }

    func deliver(_ event: MachineHostEvent, to name: String) {
        var host = hosts[name] ?? newHost()
        var actions: [MachineHostAction] = []
        let now = Date().timeIntervalSince1970
        host.handle(
            .lease(isValid: context.membership.isValid), timeSeconds: now, into: &actions)
        host.handle(event, timeSeconds: now, into: &actions)
        hosts[name] = host
        for action in actions { Task { await self.perform(action, on: name) } }
    }

    /// One for which nothing is left of an earlier life; ``settle()`` finds those that are.
    private func newHost() -> MachineHost {
        var host = MachineHost(me: context.node)
        var none: [MachineHostAction] = []
        if isSettled { host.handle(.found(nil), timeSeconds: 0, into: &none) }
        return host
    }

    func copyState(of name: String) -> MachineHost.Copy { hosts[name]?.copy ?? .none }

    /// Finds the copies that an earlier life of this daemon has left.
    private func settle() async throws {
        // Their disks are there once the mounts are that this daemon goes on with.
        while let resumption = context.resumption, !resumption.isOver {
            try await Task.sleep(for: .milliseconds(20))
        }
        let snapshot = try await context.store.machineSnapshot()
        for (name, copy) in await leftCopies(snapshot) {
            var host = MachineHost(me: context.node)
            var actions: [MachineHostAction] = []
            // Without its record a copy would be nobody's.
            host.handle(
                .record(snapshot.machines[name]?.value), timeSeconds: 0, into: &actions)
            switch copy {
            case .found(let process, let found):
                copies[name] = process
                host.handle(.found(found), timeSeconds: 0, into: &actions)
                watchEnd(of: process, name)
                log.notice(
                    "a machine was found again",
                    metadata: ["machine": "\(name)", "state": "\(found)"])
                for action in actions { Task { await self.perform(action, on: name) } }
            case .ending(let processes):
                end(processes, of: name)
                // One of its copies is as it should be.
                if copies[name] != nil { continue }
                host.handle(.found(.useless), timeSeconds: 0, into: &actions)
            }
            hosts[name] = host
        }
        isSettled = true
    }

    // MARK: Time

    private func extendLeases() {
        let end = context.membership.endNanoseconds
        guard end > 0, context.membership.isValid else { return }
        for (name, process) in copies where !process.extendLease(toNanoseconds: end) {
            log.error("a machine's lease is not extended", metadata: ["machine": "\(name)"])
        }
    }

    private func tick() async {
        if let capacity {
            await context.membership.publish(StoreKeys.machineNode(context.node), capacity)
        }
        for (name, process) in copies { await lookAfterStorage(name, process) }
        await publishStates()
    }

    /// Nine tenths of the memory: the rest is the node's own. The load in quarters, so that it is not
    /// published all the time.
    private var capacity: [UInt8]? {
        var averages = [0.0]
        let load = getloadavg(&averages, 1) == 1 ? averages[0] : 0
        let processors = Double(max(1, ProcessInfo.processInfo.activeProcessorCount))
        let record = MachineNodeRecord(
            memoryBytes: ProcessInfo.processInfo.physicalMemory / 10 * 9,
            load: (load / processors * 4).rounded() / 4)
        // What is published again only where it differs.
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(record)).map(Array.init)
    }

    private func publishStates() async {
        for (name, process) in copies {
            let copy = copyState(of: name)
            let state =
                halted[name] != nil
                ? "Halted" : paused.contains(name) ? "Paused" : Self.word(copy)
            let record = MachineStateRecord(
                node: context.node, state: state, detail: details[name],
                console: process.directory.console)
            guard shown[name] != record, let bytes = try? JSONEncoder().encode(record) else {
                continue
            }
            // The target of a migration says nothing before the machine is its own.
            if case .receiving = copy { continue }
            if case .ready = copy { continue }
            shown[name] = record
            await context.membership.publish(StoreKeys.machineState(name), Array(bytes))
        }
        for (name, record) in shown where copies[name] == nil {
            shown[name] = nil
            await withdraw(record, of: name)
        }
    }

    /// The next owner may have said something under the same key already: that stays.
    private func withdraw(_ record: MachineStateRecord, of name: String) async {
        let key = StoreKeys.machineState(name)
        await context.membership.forget(key)
        guard let current = try? await context.store.getJSON(key, as: MachineStateRecord.self),
            current.value == record
        else { return }
        // Where the store does not answer now it goes with this node's lease.
        _ = try? await context.store.transaction(
            compares: [.modRevision(key, .equal, current.entry.modRevision)],
            success: [.delete(key)])
    }

    private static func word(_ copy: MachineHost.Copy) -> String {
        switch copy {
        case .none, .ending: "Stopping"
        case .launching, .ready, .receiving, .standing: "Starting"
        case .running: "Running"
        case .sending, .sent: "Migrating"
        case .saving, .saved: "Saving"
        case .stopping: "Stopping"
        }
    }

    func volumeName(_ id: String) -> String? {
        guard let id = VolumeID(id) else { return nil }
        return volumes.instance(id)?.shownName
    }

    func folder(of record: MachineRecord) throws -> String {
        guard let volume = volumeName(record.volume) else {
            throw NodeError("the volume of \(record.name) is not there on this node")
        }
        return context.path(of: volume) + "/" + record.name
    }
}
