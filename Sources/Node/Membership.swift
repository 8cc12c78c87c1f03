import ClusterCore
import ClusterStore
import Fencing
import Logging
import Synchronization
import VolumeModel

/// This node's lease with the cluster, and what is published under it.
actor Membership {
    let node: String
    let incarnation: Incarnation
    private let addresses: [String]
    private let store: any ClusterStore
    private let log: Logger
    /// Fed with each renewal, and by nothing else.
    private let watchdog: Watchdog?
    private let timings = ClusterTimings()
    private var lease: LeaseID?
    /// What else stands under the lease, to be put again with a new one.
    private var published: [String: [UInt8]] = [:]
    /// Keys that are being written.
    private var writing: Set<String> = []
    /// No peer is reached: the lease is left to lapse, so that the others can go on.
    private var isIsolated = false
    private let current: Mutex<MembershipLease>

    init(
        node: String, incarnation: Incarnation, addresses: [String], store: any ClusterStore,
        watchdog: Watchdog?, log: Logger
    ) {
        self.watchdog = watchdog
        self.node = node
        self.incarnation = incarnation
        self.addresses = addresses
        self.store = store
        self.log = log
        current = Mutex(MembershipLease(timings: timings))
    }

    /// Whether this node may take itself for a member now.
    nonisolated var isValid: Bool {
        current.withLock { $0.isValid(nowNanoseconds: BootClock.nowNanoseconds) }
    }

    /// Until when direct I/O that only the lease protects may go on, by ``BootClock``.
    nonisolated var directEndNanoseconds: UInt64 {
        current.withLock { $0.directEndNanoseconds ?? 0 }
    }

    /// Until when this node is a member, by ``BootClock``.
    nonisolated var endNanoseconds: UInt64 { current.withLock { $0.endNanoseconds ?? 0 } }

    /// Joins, and renews until it is cancelled; then leaves.
    func run() async {
        while !Task.isCancelled {
            if !isIsolated { await renew() }
            try? await Task.sleep(for: .nanoseconds(Int64(timings.renewalNanoseconds)))
        }
        current.withLock { $0.ended() }
        // Leaving belongs to the end of a cancelled task.
        await Task { await self.leave() }.value
    }

    private func leave() async {
        do {
            // Everything was given up before this.
            try watchdog?.stop()
        } catch {
            log.error("the watchdog goes on", metadata: ["error": "\(error)"])
        }
        guard let lease else { return }
        let record = NodeRecord(
            incarnation: incarnation.number, addresses: addresses, hasLeft: true)
        _ = try? await store.putJSON(StoreKeys.member(node), record)
        _ = try? await store.revokeLease(lease)
    }

    private func renew() async {
        let sent = BootClock.nowNanoseconds
        do {
            if let lease {
                _ = try await store.keepAlive(lease)
            } else {
                try await join()
            }
            current.withLock {
                $0.renewed(sentNanoseconds: sent, nowNanoseconds: BootClock.nowNanoseconds)
            }
            // False once it is stopped: then this daemon ends.
            _ = try watchdog?.keepAlive()
        } catch StoreError.leaseNotFound {
            log.warning("the membership lease had ended; joining again")
            lease = nil
            current.withLock { $0.ended() }
            await renew()
        } catch {
            log.warning("the membership lease was not renewed", metadata: ["error": "\(error)"])
        }
    }

    private func join() async throws {
        let granted = try await store.grantLease(
            ttlSeconds: Int(timings.leaseNanoseconds / 1_000_000_000)
        ).lease
        let record = NodeRecord(incarnation: incarnation.number, addresses: addresses)
        _ = try await store.transaction(success: [
            .putJSON(StoreKeys.node(node), record, lease: granted),
            .putJSON(StoreKeys.member(node), record),
        ])
        for (key, value) in published { _ = try await store.put(key, value, lease: granted) }
        lease = granted
        log.info("joined the cluster", metadata: ["incarnation": "\(incarnation)"])
    }

    /// A node that reaches nobody gives its lease up, so that the others need not wait for its end;
    /// one that is back takes a new one.
    func setIsolated(_ isolated: Bool) async {
        guard isolated != isIsolated else { return }
        isIsolated = isolated
        guard isolated else {
            log.notice("other nodes are reached again")
            return
        }
        log.error("no other node is reached on any network: this one gives its membership up")
        current.withLock { $0.ended() }
        guard let given = lease else { return }
        lease = nil
        _ = try? await store.revokeLease(given)
    }

    /// Puts a value that is there as long as this node is. Of values that come while one is being
    /// written only the newest counts.
    func publish(_ key: String, _ value: [UInt8]) async {
        guard published[key] != value else { return }
        published[key] = value
        guard writing.insert(key).inserted else { return }
        defer { writing.remove(key) }
        var written: [UInt8]?
        while let lease, let newest = published[key], newest != written {
            do {
                _ = try await store.put(key, newest, lease: lease)
                written = newest
            } catch StoreError.leaseNotFound {
                // It is put again with the next lease.
                return
            } catch {
                log.warning(
                    "a state was not published", metadata: ["key": "\(key)", "error": "\(error)"])
                // The next one that comes is another than this, whatever it is.
                published[key] = nil
                return
            }
        }
        // Withdrawn in the meantime: what was written last goes as well.
        if published[key] == nil { _ = try? await store.delete(key) }
    }

    /// Puts the value no more, and leaves it where it is: another node may have put its own.
    func forget(_ key: String) { published[key] = nil }

    func withdraw(_ key: String) async {
        published[key] = nil
        _ = try? await store.delete(key)
    }
}
