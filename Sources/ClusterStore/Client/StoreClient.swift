import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The cluster store as a server on a Unix socket has it (`covol-store`).
///
/// Connects by itself, also again. While there is no connection requests wait for one, as long as
/// their time lasts, then throw `StoreError.unavailable`. When the connection breaks under a
/// request, reads, renewals and grants are sent again; changes throw `StoreError.outcomeUnknown`.
/// Watches go on where they were. If another store answers (other database, or an older copy of
/// it), everything throws `StoreError.storeReplaced` from then on.
public final class StoreClient: ClusterStore, Sendable {
    public struct Options: Sendable {
        /// For each request, waiting for a connection included.
        public var requestTimeout: Duration = .seconds(5)
        /// After the first failed attempt to connect; doubles with each, with some randomness.
        public var firstRetryDelay: Duration = .milliseconds(20)
        public var longestRetryDelay: Duration = .seconds(1)
        public var logger = Logger(label: "covol.store.client")
        public var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

        public init() {}
    }

    struct State {
        var connection: StoreConnection?
        /// Set for good: by `shutdown()`, or because the store was replaced.
        var ended: StoreError?
        var lastFailure = "it was not tried yet"
        var waiting: [UInt64: Waiting] = [:]
        var nextWaiting: UInt64 = 0
        var storeID: [UInt8]?
        var newestRevision: StoreRevision = 0
        var task: Task<Void, Never>?
    }

    struct Waiting {
        var done: CheckedContinuation<StoreConnection, any Error>
        var timer: Scheduled<Void>
    }

    let socketPath: String
    let options: Options
    let state = Mutex(State())

    /// Starts to connect; `shutdown()` must be called to end that.
    public init(socketPath: String, options: Options = Options()) {
        self.socketPath = socketPath
        self.options = options
        let task = Task { await self.keepConnected() }
        state.withLock { $0.task = task }
    }

    /// Ends the connection; whatever is under way ends as if it had broken, whatever comes later
    /// throws `StoreError.closed`.
    public func shutdown() async {
        end(with: .closed)
        let task = state.withLock { $0.task }
        task?.cancel()
        await task?.value
    }

    public func get(_ key: String) async throws -> GetResponse {
        try StoreValidation.check(key: key)
        guard case .get(let response) = try await call(.get(key: key)) else { throw mismatch() }
        note(response.revision)
        return response
    }

    public func range(prefix: String, after: String?, limit: Int) async throws -> RangeResponse {
        try StoreValidation.check(prefix: prefix)
        try StoreValidation.check(limit: limit)
        if let after { try StoreValidation.check(key: after) }
        let request = StoreRequest.range(prefix: prefix, after: after, limit: limit)
        guard case .range(let response) = try await call(request) else { throw mismatch() }
        note(response.revision)
        return response
    }

    public func transaction(
        compares: [StoreCompare], success: [StoreOperation], failure: [StoreOperation]
    ) async throws -> TransactionResponse {
        let transaction = StoreTransaction(compares: compares, success: success, failure: failure)
        try StoreValidation.check(transaction)
        guard case .transaction(let response) = try await call(.transaction(transaction)) else {
            throw mismatch()
        }
        note(response.revision)
        return response
    }

    public func grantLease(ttlSeconds: Int) async throws -> LeaseResponse {
        try StoreValidation.check(ttlSeconds: ttlSeconds)
        return try await lease(.grantLease(ttlSeconds: ttlSeconds))
    }

    public func keepAlive(_ lease: LeaseID) async throws -> LeaseResponse {
        try await self.lease(.keepAlive(lease))
    }

    private func lease(_ request: StoreRequest) async throws -> LeaseResponse {
        guard case .lease(let response) = try await call(request) else { throw mismatch() }
        note(response.revision)
        return response
    }

    @discardableResult
    public func revokeLease(_ lease: LeaseID) async throws -> StoreRevision {
        guard case .revoked(let revision) = try await call(.revokeLease(lease)) else {
            throw mismatch()
        }
        note(revision)
        return revision
    }

    public func watch(prefix: String, fromRevision: StoreRevision) -> StoreWatch {
        StoreWatch(fromRevision: fromRevision) { revision in
            try await self.page(prefix: prefix, fromRevision: revision)
        }
    }

    private func page(prefix: String, fromRevision: StoreRevision) async throws -> WatchPage {
        try StoreValidation.check(prefix: prefix)
        try StoreValidation.check(fromRevision: fromRevision)
        let wait = Duration.seconds(StoreLimits.watchPollSeconds)
        let request = StoreRequest.poll(
            prefix: prefix, fromRevision: fromRevision,
            waitMilliseconds: StoreLimits.watchPollSeconds * 1000)
        while true {
            do {
                let reply = try await call(request, timeout: wait + options.requestTimeout)
                guard case .page(let page) = reply else { throw mismatch() }
                if let last = page.events.last { note(last.revision) }
                return page
            } catch StoreError.timedOut, StoreError.unavailable {
                try await Task.sleep(for: options.firstRetryDelay)
            }
        }
    }

    private func mismatch() -> StoreError {
        .protocolViolation("a reply does not fit its request")
    }
}
