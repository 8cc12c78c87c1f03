/// Every bound of the cluster store, in one place. Keys, values, operations and leases keep to what
/// etcd takes with its defaults (1.5 MiB a request, 128 operations a transaction), so that what
/// works on one store works on the other.
public enum StoreLimits {
    /// UTF-8 bytes of a key; at least one, and no control characters.
    public static let keyBytes = 1024
    /// Bytes of a value.
    public static let valueBytes = 1 << 20
    /// Compares of one transaction.
    public static let compares = 128
    /// Operations of each branch of one transaction.
    public static let operations = 128
    /// Keys and values of one transaction, both branches and the compares together.
    public static let transactionBytes = 1_310_720
    /// Entries of one range reply.
    public static let rangeEntries = 10_000
    /// Entries, as they are encoded, of one reply to a range or to a transaction's gets.
    public static let replyBytes = 8 << 20
    /// Keys that one transaction changes.
    public static let changedKeys = 10_000
    /// The events of one transaction as they are encoded; watchers get them undivided.
    public static let transactionEventBytes = 8 << 20
    /// Events of one watch page, unless a single transaction alone is larger.
    public static let watchPageBytes = 4 << 20
    /// Time to live of a lease.
    public static let leaseSeconds = 1...86_400
    /// Leases of a store.
    public static let leases = 10_000
    /// Keys of one lease: its expiry deletes them all in one transaction.
    public static let leaseKeys = 1000
    /// Bytes of keys and values of one lease, for the same reason.
    public static let leaseBytes = 2 << 20
    /// Size of the database; a transaction beyond it fails with `StoreError.storageFull`.
    public static let databaseBytes = 1 << 30
    /// Body of one frame between client and server.
    public static let frameBytes = 16 << 20
    /// Text of an error on the wire; longer text is cut.
    public static let errorTextBytes = 4096
    /// Connections of one server.
    public static let connections = 256
    /// Requests in flight on one connection, waiting watches among them.
    public static let requestsInFlight = 1024
    /// Bytes of such requests.
    public static let requestBytesInFlight = 64 << 20
    /// Replies of one connection that its peer has not taken yet; beyond it the connection closes.
    public static let unsentReplyBytes = 64 << 20
    /// Longest time that a server holds the poll of a watch open before it answers without events.
    public static let watchPollSeconds = 30

    /// What the bounds above promise each other. The server's start asserts it.
    static var areConsistent: Bool {
        let envelope = 1 << 16
        return watchPageBytes + transactionEventBytes + envelope <= frameBytes
            && replyBytes + transactionBytes + envelope <= frameBytes
            && valueBytes + keyBytes <= transactionBytes
            // An expiry's events carry each key twice and the previous value once.
            && leaseBytes * 2 + leaseKeys * 128 <= transactionEventBytes
            && leaseKeys <= changedKeys
            && 2 * (valueBytes + keyBytes) + envelope <= transactionEventBytes
            && frameBytes <= unsentReplyBytes && transactionBytes <= requestBytesInFlight
    }
}
