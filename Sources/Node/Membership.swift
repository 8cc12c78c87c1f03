import ClusterStore
import Logging
import Synchronization
import VolumeModel

/// This node's lease with the cluster, and what is published under it.
actor Membership {
    static let leaseSeconds = 10
    private static let renewalInterval = Duration.seconds(2)

    let node: String
    let incarnation: Incarnation
    private let addresses: [String]
    private let store: any ClusterStore
    private let log: Logger
    private var lease: LeaseID?
    /// What else stands under the lease, to be put again with a new one.
    private var published: [String: [UInt8]] = [:]

    init(
        node: String, incarnation: Incarnation, addresses: [String], store: any ClusterStore,
        log: Logger
    ) {
        self.node = node
        self.incarnation = incarnation
        self.addresses = addresses
        self.store = store
        self.log = log
    }

    /// Joins, and renews until it is cancelled; then leaves.
    func run() async {
        while !Task.isCancelled {
            do {
                if let lease {
                    _ = try await store.keepAlive(lease)
                } else {
                    try await join()
                }
            } catch StoreError.leaseNotFound {
                log.warning("the membership lease had ended; joining again")
                lease = nil
                continue
            } catch {
                log.warning("the membership lease was not renewed", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.renewalInterval)
        }
        if let lease {
            let store = store
            // Leaving belongs to the end of a cancelled task.
            await Task { _ = try? await store.revokeLease(lease) }.value
        }
    }

    private func join() async throws {
        let granted = try await store.grantLease(ttlSeconds: Self.leaseSeconds).lease
        let record = NodeRecord(incarnation: incarnation.number, addresses: addresses)
        _ = try await store.transaction(success: [
            .putJSON(StoreKeys.node(node), record, lease: granted),
            .putJSON(StoreKeys.member(node), record),
        ])
        for (key, value) in published { _ = try await store.put(key, value, lease: granted) }
        lease = granted
        log.info("joined the cluster", metadata: ["incarnation": "\(incarnation)"])
    }

    /// Puts a value that is there as long as this node is.
    func publish(_ key: String, _ value: [UInt8]) async {
        guard published[key] != value else { return }
        published[key] = value
        guard let lease else { return }
        do {
            _ = try await store.put(key, value, lease: lease)
        } catch {
            log.warning(
                "a state was not published", metadata: ["key": "\(key)", "error": "\(error)"])
        }
    }

    func withdraw(_ key: String) async {
        published[key] = nil
        _ = try? await store.delete(key)
    }
}
