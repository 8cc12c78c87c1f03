import ClusterStore
import Logging
import Synchronization
import VolumeModel
import VolumeProtocol

/// All volumes of this node: follows the cluster's records and takes each volume where they say.
final class VolumeManager: Sendable {
    private let context: NodeContext
    private let instances = Mutex<[VolumeID: VolumeInstance]>([:])

    init(context: NodeContext) { self.context = context }

    func instance(_ id: VolumeID) -> VolumeInstance? { instances.withLock { $0[id] } }

    var all: [(VolumeID, VolumeInstance)] { instances.withLock { $0.map { ($0.key, $0.value) } } }

    /// Follows the records until it is cancelled.
    func run() async {
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
        try await withThrowingTaskGroup(of: Void.self) { group in
            for prefix in [StoreKeys.volumes, StoreKeys.owners, StoreKeys.attachments] {
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
        let volumes = try await context.store.all(prefix: StoreKeys.volumes).entries
        let owners = try await context.store.all(prefix: StoreKeys.owners).entries
        var isDone = true
        var present: Set<VolumeID> = []
        for entry in volumes {
            let record = try entry.decoded(as: VolumeRecord.self)
            guard let id = VolumeID(record.id) else { continue }
            present.insert(id)
            let owner = try owners.first { $0.key == StoreKeys.owner(record.id) }?
                .decoded(as: OwnerRecord.self)
            let instance = instances.withLock { instances in
                if let known = instances[id] { return known }
                let new = VolumeInstance(id: id, record: record, context: context)
                instances[id] = new
                return new
            }
            if await !instance.update(record, owner) { isDone = false }
        }
        instances.withLock { $0 = $0.filter { present.contains($0.key) } }
        return isDone
    }

    func stop() async {
        for (_, instance) in all { await instance.stop() }
    }
}
