/// One change of one key.
public struct StoreEvent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The key's new state.
        case put(KeyValue)
        case delete
    }

    public var kind: Kind
    public var key: String
    /// What the key had before; nil when it did not exist.
    public var previous: KeyValue?
    /// All events of one transaction have the same revision.
    public var revision: StoreRevision

    public init(kind: Kind, key: String, previous: KeyValue?, revision: StoreRevision) {
        self.kind = kind
        self.key = key
        self.previous = previous
        self.revision = revision
    }

    /// The value that the key has now; nil after a delete.
    public var value: [UInt8]? {
        if case .put(let entry) = kind { entry.value } else { nil }
    }
}
