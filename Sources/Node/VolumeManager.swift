import ClusterStore
import Locking
import Logging
import VolumeModel
import VolumeProtocol

/// All volumes of this node: follows the cluster's records and tells each volume what they say.
final class VolumeManager: Sendable {
    private let context: NodeContext
    private let instances = Lock<[VolumeID: VolumeInstance]>([:])

    private let witness: MemberWitness

    init(context: NodeContext) {
        self.context = context
        witness = MemberWitness(context: context)
    }

    func instance(_ id: VolumeID) -> VolumeInstance? { instances.withLock { $0[id] } }

    var all: [(VolumeID, VolumeInstance)] { instances.withLock { $0.map { ($0.key, $0.value) } } }

    /// Follows the records until it is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepFollowing() }
            group.addTask {
                while !Task.isCancelled {
                    for (_, instance) in self.all { await instance.tick() }
                    try? await Task.sleep(for: .milliseconds(250))
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(2))
                    await self.lookAfterHolder()
                }
            }
        }
    }

    private func lookAfterHolder() async {
        let keeper = context.keeper
        guard (try? await Blocking.run { keeper.lookAfterHolder() }) == true else { return }
        for (_, instance) in all { await instance.keepMount() }
        context.log.warning("the holder of this node's mounts was gone; another one keeps them")
    }

    private func keepFollowing() async {
        while !Task.isCancelled {
            do {
                try await follow()
            } catch is CancellationError {
                return
            } catch {
                context.log.warning(
                    "the cluster's records could not be followed", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private enum Change { case records, retry }

    private func follow() async throws {
        let first = try await context.store.range(prefix: StoreKeys.volumes).revision
        let (changes, continuation) = AsyncStream.makeStream(
            of: Change.self, bufferingPolicy: .bufferingNewest(1))
        let prefixes = [
            StoreKeys.volumes, StoreKeys.owners, StoreKeys.attachments, StoreKeys.nodes,
        ]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for prefix in prefixes {
                let watch = context.store.watch(prefix: prefix, fromRevision: first + 1)
                group.addTask {
                    for try await _ in watch { continuation.yield(.records) }
                }
            }
            group.addTask {
                continuation.yield(.records)
                for await _ in changes {
                    if try await !self.reconcile() {
                        Task {
                            try? await Task.sleep(for: .milliseconds(200))
                            continuation.yield(.retry)
                        }
                    }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// True: every volume is where the records want it.
    private func reconcile() async throws -> Bool {
        await witness.look()
        let snapshots = try await context.records.read()
        var isDone = true
        var present: Set<VolumeID> = []
        for snapshot in snapshots {
            guard let id = VolumeID(snapshot.record.id) else { continue }
            present.insert(id)
            let instance = instances.withLock { instances in
                if let known = instances[id] { return known }
                let new = VolumeInstance(id: id, snapshot: snapshot, context: context)
                instances[id] = new
                return new
            }
            if await instance.resumed != nil { await instance.resumeMount() }
            if await !instance.hasDrained { Task { await instance.drain() } }
            if await !instance.update(snapshot) { isDone = false }
        }
        instances.withLock { $0 = $0.filter { present.contains($0.key) } }
        return isDone
    }

    func stop() async {
        await withTaskGroup(of: Void.self) { group in
            for (_, instance) in all { group.addTask { await instance.stop() } }
        }
    }
}
