/// Why the cluster store did not do what it was asked.
public enum StoreError: Error, Hashable, Sendable {
    /// The history before `oldestRevision` is gone: read the keys again and watch from that
    /// reply's revision + 1.
    case compacted(oldestRevision: StoreRevision)
    /// The lease has expired, was revoked, or never was.
    case leaseNotFound(LeaseID)
    /// The request breaks the interface's rules; it never works as it is.
    case invalidRequest(String)
    /// The request, or the store with it, would pass a bound of `StoreLimits`.
    case limitExceeded(String)
    /// The database has reached its size, or its file system is full. Nothing was changed.
    case storageFull(String)
    /// The change may or may not have been made: read, then decide.
    case outcomeUnknown(String)
    /// The store is out of reach and the request was never sent. Nothing was changed.
    case unavailable(String)
    /// The answer to a read did not come in time.
    case timedOut(String)
    /// The peer broke the protocol.
    case protocolViolation(String)
    /// Another store answers at this address: what is known of revisions and leases is void.
    case storeReplaced(String)
    /// The store met an error of its disk and stops. Its start finds out what was done.
    case storeFailed(String)
    /// The database is damaged or not a cluster store's. The store does not start on it.
    case damaged(String)
    /// Another live process holds the database or the socket.
    case inUse(String)
    /// The client, server or engine has been shut down.
    case closed
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .compacted(let oldestRevision):
            "history before revision \(oldestRevision) is compacted; read the keys again"
        case .leaseNotFound(let lease): "lease \(lease) has expired or never was"
        case .invalidRequest(let text): "invalid request: \(text)"
        case .limitExceeded(let text): "limit exceeded: \(text)"
        case .storageFull(let text): "the store's database is full: \(text)"
        case .outcomeUnknown(let text): "the outcome of the request is unknown: \(text)"
        case .unavailable(let text): "the cluster store is out of reach: \(text)"
        case .timedOut(let text): "the cluster store did not answer in time: \(text)"
        case .protocolViolation(let text): "the peer broke the store's protocol: \(text)"
        case .storeReplaced(let text): "another cluster store answers here: \(text)"
        case .storeFailed(let text): "the cluster store failed: \(text)"
        case .damaged(let text): "the cluster store's database cannot be used: \(text)"
        case .inUse(let text): text
        case .closed: "the cluster store has been closed"
        }
    }
}
