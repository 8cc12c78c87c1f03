/// What `ClusterStore.get` found.
public struct GetResponse: Hashable, Sendable {
    public var entry: KeyValue?
    public var revision: StoreRevision

    public init(entry: KeyValue?, revision: StoreRevision) {
        self.entry = entry
        self.revision = revision
    }
}

/// One page of `ClusterStore.range`, in the order of the keys' UTF-8 bytes.
public struct RangeResponse: Hashable, Sendable {
    public var entries: [KeyValue]
    /// More keys follow the last of `entries`.
    public var more: Bool
    public var revision: StoreRevision

    public init(entries: [KeyValue], more: Bool, revision: StoreRevision) {
        self.entries = entries
        self.more = more
        self.revision = revision
    }
}

public struct TransactionResponse: Hashable, Sendable {
    /// Which branch was done: `true` when every compare held.
    public var succeeded: Bool
    /// One for each operation of that branch.
    public var results: [StoreResult]
    /// The transaction's own revision if it changed anything, otherwise the store's.
    public var revision: StoreRevision

    public init(succeeded: Bool, results: [StoreResult], revision: StoreRevision) {
        self.succeeded = succeeded
        self.results = results
        self.revision = revision
    }
}

/// The answer to a grant or a renewal.
public struct LeaseResponse: Hashable, Sendable {
    public var lease: LeaseID
    /// Time to live. Count it from when the request was *sent*, on CLOCK_BOOTTIME.
    public var ttlSeconds: Int
    public var revision: StoreRevision

    public init(lease: LeaseID, ttlSeconds: Int, revision: StoreRevision) {
        self.lease = lease
        self.ttlSeconds = ttlSeconds
        self.revision = revision
    }
}
