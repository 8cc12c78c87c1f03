/// One condition of a transaction. A key that does not exist has create revision, mod revision and
/// version 0, and meets no condition on a value (as in etcd).
public struct StoreCompare: Hashable, Sendable {
    public enum Relation: UInt8, Sendable, CaseIterable {
        case equal = 1
        case notEqual = 2
        case less = 3
        case greater = 4
    }

    public enum Target: Hashable, Sendable {
        case createRevision(StoreRevision)
        case modRevision(StoreRevision)
        case version(Int64)
        /// Compared byte by byte, unsigned, in order.
        case value([UInt8])
    }

    public var key: String
    public var relation: Relation
    public var target: Target

    public init(key: String, relation: Relation, target: Target) {
        self.key = key
        self.relation = relation
        self.target = target
    }

    public static func exists(_ key: String) -> Self {
        Self(key: key, relation: .notEqual, target: .createRevision(0))
    }

    public static func missing(_ key: String) -> Self {
        Self(key: key, relation: .equal, target: .createRevision(0))
    }

    public static func createRevision(
        _ key: String, _ relation: Relation = .equal, _ revision: StoreRevision
    ) -> Self {
        Self(key: key, relation: relation, target: .createRevision(revision))
    }

    public static func modRevision(
        _ key: String, _ relation: Relation = .equal, _ revision: StoreRevision
    ) -> Self {
        Self(key: key, relation: relation, target: .modRevision(revision))
    }

    public static func version(
        _ key: String, _ relation: Relation = .equal, _ version: Int64
    ) -> Self {
        Self(key: key, relation: relation, target: .version(version))
    }

    public static func value(
        _ key: String, _ relation: Relation = .equal, _ value: [UInt8]
    ) -> Self {
        Self(key: key, relation: relation, target: .value(value))
    }

    /// Whether `entry`, what the store has for the key, meets the condition.
    func isMet(by entry: KeyValue?) -> Bool {
        switch target {
        case .createRevision(let revision):
            return holds(entry?.createRevision ?? 0, revision)
        case .modRevision(let revision):
            return holds(entry?.modRevision ?? 0, revision)
        case .version(let version):
            return holds(entry?.version ?? 0, version)
        case .value(let value):
            guard let entry else { return false }
            switch relation {
            case .equal: return entry.value == value
            case .notEqual: return entry.value != value
            case .less: return entry.value.lexicographicallyPrecedes(value)
            case .greater: return value.lexicographicallyPrecedes(entry.value)
            }
        }
    }

    private func holds(_ left: Int64, _ right: Int64) -> Bool {
        switch relation {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .greater: left > right
        }
    }
}

/// One step of a transaction.
public enum StoreOperation: Hashable, Sendable {
    /// Sets the key, and its lease: a put without one detaches the key from the lease it had.
    case put(String, [UInt8], lease: LeaseID? = nil)
    case delete(String)
    /// Deletes every key that starts with the prefix; the empty prefix means all keys.
    case deletePrefix(String)
    /// Sees what earlier steps of the same transaction did.
    case get(String)

    var changes: Bool {
        if case .get = self { false } else { true }
    }
}

/// The result of one step, in the order of the steps.
public enum StoreResult: Hashable, Sendable {
    case put
    case deleted(keys: Int)
    case entry(KeyValue?)
}

/// If every compare holds, `success` is done, otherwise `failure`, at once and as a whole.
struct StoreTransaction: Hashable, Sendable {
    var compares: [StoreCompare] = []
    var success: [StoreOperation] = []
    var failure: [StoreOperation] = []

    var changes: Bool {
        success.contains(where: \.changes) || failure.contains(where: \.changes)
    }
}
