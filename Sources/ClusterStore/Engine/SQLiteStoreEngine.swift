import Dispatch
import Foundation
import GRDB
import Logging
import Synchronization

/// The cluster store on one SQLite database, for the nodes of one machine. One process holds the
/// file (`StoreServer` serves it to the others).
///
/// Transactions are in the order of one queue; each that changes something is on the disk (WAL,
/// synchronous = FULL) before it is answered. Leases end by `StoreClock`; after a start each has
/// its full time again. When the disk fails, the engine stops: it cannot know what the disk kept.
public final class SQLiteStoreEngine: ClusterStore, Sendable {
    public struct Options: Sendable {
        /// Transactions whose changes a watch can still see.
        public var historyRevisions: Int64 = 10_000
        /// Bytes of such changes.
        public var historyBytes = 64 << 20
        /// Size that the database may reach by puts; a full one still takes deletes.
        public var databaseBytes = StoreLimits.databaseBytes
        public var clock = StoreClock.boot
        /// How often expired leases are looked for; nil: only by `expireLeases()`.
        public var expiryInterval: Duration? = .milliseconds(100)
        public var logger = Logger(label: "covol.store")

        public init() {}
    }

    struct State {
        var leases: [LeaseID: LiveLease] = [:]
        var watchers: [UInt64: Watcher] = [:]
        var nextWatcher: UInt64 = 0
        var revision: StoreRevision
        var historyBytes = 0
        var failure: StoreError?
        var onFailure: (@Sendable (StoreError) -> Void)?
        var expiry: Task<Void, Never>?
    }

    let queue: DatabaseQueue
    let options: Options
    let state: Mutex<State>
    /// Made with the database.
    let storeID: [UInt8]
    private let lock: DatabaseLock?

    /// Opens the database, or makes it. Throws `StoreError.inUse` when another live process has it
    /// and `StoreError.damaged` when it cannot be used.
    public static func open(
        path: String, options: Options = Options()
    ) throws -> SQLiteStoreEngine {
        let lock = try DatabaseLock(databasePath: path)
        do {
            var configuration = Configuration()
            configuration.prepareDatabase {
                try StoreSchema.prepare($0, onDisk: true, databaseBytes: options.databaseBytes)
            }
            return try SQLiteStoreEngine(
                DatabaseQueue(path: path, configuration: configuration), options, lock)
        } catch StoreError.damaged(let text) {
            throw StoreError.damaged(damage(path, text))
        } catch let error as DatabaseError {
            throw StoreError.damaged(damage(path, error.description))
        }
    }

    /// The same engine on a database in memory, for tests.
    public static func inMemory(options: Options = Options()) throws -> SQLiteStoreEngine {
        var configuration = Configuration()
        configuration.prepareDatabase {
            try StoreSchema.prepare($0, onDisk: false, databaseBytes: options.databaseBytes)
        }
        return try SQLiteStoreEngine(DatabaseQueue(configuration: configuration), options, nil)
    }

    private static func damage(_ path: String, _ text: String) -> String {
        "\(path): \(text). Put back a copy of it, or move it (with its -wal file) away to start "
            + "with an empty store"
    }

    private init(_ queue: DatabaseQueue, _ options: Options, _ lock: DatabaseLock?) throws {
        self.queue = queue
        self.options = options
        self.lock = lock
        let (header, leases, bytes) = try queue.writeWithoutTransaction { db in
            let header = try StoreSchema.open(db)
            let bytes = try Int.fetchOne(
                db, sql: "SELECT coalesce(sum(length(event)), 0) FROM history")
            return (header, try StoredLease.all(db), bytes ?? 0)
        }
        storeID = header.storeID
        var state = State(revision: header.revision, historyBytes: bytes)
        let now = options.clock.nowNanoseconds()
        for lease in leases {
            state.leases[lease.id] = LiveLease(ttlSeconds: lease.ttlSeconds, from: now)
        }
        self.state = Mutex(state)
        if let interval = options.expiryInterval { startExpiry(every: interval) }
    }

    /// Ends the watches and closes the database; afterwards everything throws `StoreError.closed`.
    public func close() async {
        let expiry = stop(with: .closed)
        expiry?.cancel()
        await expiry?.value
        await withCheckedContinuation { done in
            // Behind the transactions that are in the queue already.
            queue.asyncWriteWithoutTransaction { _ in done.resume() }
        }
        do {
            try queue.close()
        } catch {
            options.logger.warning("closing the database failed", metadata: ["error": "\(error)"])
        }
        lock?.release()
    }

    /// Calls `body` when the disk fails, on any thread; at once if it already has. What changes
    /// were under way then has an unknown outcome: only a new start can tell.
    public func onFailure(_ body: @escaping @Sendable (StoreError) -> Void) {
        let failure = state.withLock { state in
            state.onFailure = body
            return state.failure
        }
        if let failure { body(failure) }
    }

    /// Makes every later request throw `error`, unless one was set before. Returns the expiry.
    @discardableResult
    func stop(with error: StoreError) -> Task<Void, Never>? {
        let (expiry, watchers) = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.watchers = [:] }
            return (state.expiry, state.watchers.values.map(\.wake))
        }
        for wake in watchers { wake.finish() }
        return expiry
    }

    /// The last transaction that is known here to be on the disk.
    var revision: StoreRevision { state.withLock { $0.revision } }

    func checkOpen() throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
