import GRDB
import Synchronization

/// A lease's time, which only memory holds: a renewal writes nothing.
struct LiveLease {
    var ttlSeconds: Int
    var deadlineNanoseconds: Int64
    /// Its end has begun and cannot be taken back.
    var isEnding = false

    init(ttlSeconds: Int, from nowNanoseconds: Int64) {
        self.ttlSeconds = ttlSeconds
        deadlineNanoseconds = nowNanoseconds + Int64(ttlSeconds) * 1_000_000_000
    }
}

extension SQLiteStoreEngine {
    public func grantLease(ttlSeconds: Int) async throws -> LeaseResponse {
        try StoreValidation.check(ttlSeconds: ttlSeconds)
        if state.withLock({ $0.leases.count }) >= StoreLimits.leases {
            throw StoreError.limitExceeded("there are \(StoreLimits.leases) leases already")
        }
        let response = try await write(always: true) { writer in
            let lease = LeaseID(rawValue: writer.header.nextLease)
            writer.header.nextLease += 1
            try StoredLease(id: lease, ttlSeconds: ttlSeconds).insert(writer.db)
            return LeaseResponse(
                lease: lease, ttlSeconds: ttlSeconds, revision: writer.header.revision)
        }
        let now = options.clock.nowNanoseconds()
        state.withLock {
            $0.leases[response.lease] = LiveLease(ttlSeconds: ttlSeconds, from: now)
        }
        return response
    }

    public func keepAlive(_ lease: LeaseID) async throws -> LeaseResponse {
        // From memory alone: a disk that is slow for a while must not end memberships.
        try checkOpen()
        let now = options.clock.nowNanoseconds()
        return try state.withLock { state in
            guard let live = state.leases[lease], !live.isEnding, now < live.deadlineNanoseconds
            else { throw StoreError.leaseNotFound(lease) }
            state.leases[lease] = LiveLease(ttlSeconds: live.ttlSeconds, from: now)
            return LeaseResponse(
                lease: lease, ttlSeconds: live.ttlSeconds, revision: state.revision)
        }
    }

    @discardableResult
    public func revokeLease(_ lease: LeaseID) async throws -> StoreRevision {
        try checkLive(lease)
        return try await end(lease)
    }

    /// Ends every lease whose time is over, each in a transaction of its own.
    public func expireLeases() async {
        let now = options.clock.nowNanoseconds()
        let due = state.withLock { state in
            state.leases.filter { $0.value.isEnding || $0.value.deadlineNanoseconds <= now }
                .map(\.key)
        }
        for lease in due.sorted(by: { $0.rawValue < $1.rawValue }) {
            do {
                try await end(lease)
                options.logger.info("lease expired", metadata: ["lease": "\(lease)"])
            } catch StoreError.leaseNotFound {
                // It was revoked in the meantime.
            } catch {
                options.logger.error(
                    "a lease's end failed and is tried again",
                    metadata: ["lease": "\(lease)", "error": "\(error)"])
            }
        }
    }

    /// Throws unless the lease's time still runs. Puts with a lease come here on the database's
    /// queue, so that none gets in behind the lease's end.
    func checkLive(_ lease: LeaseID) throws {
        let now = options.clock.nowNanoseconds()
        let isLive = state.withLock { state in
            guard let live = state.leases[lease] else { return false }
            return !live.isEnding && now < live.deadlineNanoseconds
        }
        if !isLive { throw StoreError.leaseNotFound(lease) }
    }

    @discardableResult
    private func end(_ lease: LeaseID) async throws -> StoreRevision {
        state.withLock { $0.leases[lease]?.isEnding = true }
        return try await write(always: true) { writer in
            if self.state.withLock({ $0.leases[lease] == nil }) {
                throw StoreError.leaseNotFound(lease)
            }
            try writer.end(lease)
            writer.db.afterNextTransaction { _ in
                self.state.withLock { _ = $0.leases.removeValue(forKey: lease) }
            }
            return writer.events.isEmpty ? writer.header.revision : writer.revision
        }
    }

    func startExpiry(every interval: Duration) {
        let task = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: interval)
                guard let self, (try? self.checkOpen()) != nil else { return }
                await self.expireLeases()
            }
        }
        state.withLock { $0.expiry = task }
    }
}
