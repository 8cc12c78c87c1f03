/// The state that the cluster agrees on: a small transactional key-value store with etcd's
/// semantics. Keys are ordered and compared by their UTF-8 bytes.
///
/// Every method may be called from any task at any time and throws `StoreError`, or
/// `CancellationError` when its task is cancelled (a change may have been made nonetheless).
/// Requests that are not awaited one after the other have no order. An acknowledged change is
/// durable. Bounds are in `StoreLimits`.
public protocol ClusterStore: Sendable {
    func get(_ key: String) async throws -> GetResponse

    /// The keys that start with `prefix`, in order, at most `limit` of them, after the key
    /// `after` if it is given. The reply may be cut shorter by its size: look at `more`.
    func range(prefix: String, after: String?, limit: Int) async throws -> RangeResponse

    /// Does `success` if all of `compares` hold, otherwise `failure`; all of it, in one revision,
    /// or nothing. No branch may put a key twice, or put a key that it also deletes (as in etcd).
    func transaction(
        compares: [StoreCompare], success: [StoreOperation], failure: [StoreOperation]
    ) async throws -> TransactionResponse

    /// Makes a lease. Keys put with it are deleted, in one transaction, when it ends.
    func grantLease(ttlSeconds: Int) async throws -> LeaseResponse

    /// Renews a lease for its full time, which counts from when the request was sent.
    /// Throws `StoreError.leaseNotFound` once it has expired.
    func keepAlive(_ lease: LeaseID) async throws -> LeaseResponse

    /// Ends a lease now, with its keys. Returns the store's revision.
    @discardableResult
    func revokeLease(_ lease: LeaseID) async throws -> StoreRevision

    /// The changes below `prefix`, from `fromRevision` (at least 1) on. To follow a state without
    /// a gap, read it first and watch from that reply's revision + 1.
    func watch(prefix: String, fromRevision: StoreRevision) -> StoreWatch
}
