/// The number of the store's transactions that changed something, starting at 1 for the empty
/// store. Revisions only grow; they serve as fencing tokens.
public typealias StoreRevision = Int64

/// A key with its value and its history in numbers, as in etcd.
public struct KeyValue: Hashable, Sendable {
    public var key: String
    public var value: [UInt8]
    /// Revision of the put that made the key, since its last delete.
    public var createRevision: StoreRevision
    /// Revision of the last put.
    public var modRevision: StoreRevision
    /// Number of puts since the key was made; 1 for a new key.
    public var version: Int64
    /// The lease that the key ends with.
    public var lease: LeaseID?

    public init(
        key: String, value: [UInt8], createRevision: StoreRevision, modRevision: StoreRevision,
        version: Int64, lease: LeaseID? = nil
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// Names a lease. A store never gives the same number twice.
public struct LeaseID: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: Int64

    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    public var description: String { String(rawValue) }
}
