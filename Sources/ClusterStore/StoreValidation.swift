/// What a request must keep to, checked by the client before it sends and by the engine before it
/// acts: the two must agree, so it is here once.
enum StoreValidation {
    static func check(key: String) throws {
        if key.isEmpty { throw StoreError.invalidRequest("a key is empty") }
        try check(prefix: key)
    }

    static func check(prefix: String) throws {
        if prefix.utf8.count > StoreLimits.keyBytes {
            throw StoreError.limitExceeded(
                "a key has \(prefix.utf8.count) bytes, the most is \(StoreLimits.keyBytes)")
        }
        if prefix.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw StoreError.invalidRequest("a key contains a control character")
        }
    }

    static func check(limit: Int) throws {
        if !(1...StoreLimits.rangeEntries).contains(limit) {
            throw StoreError.invalidRequest(
                "the limit of a range is \(limit), not 1 to \(StoreLimits.rangeEntries)")
        }
    }

    static func check(fromRevision: StoreRevision) throws {
        if fromRevision < 1 {
            throw StoreError.invalidRequest(
                "a watch starts at revision \(fromRevision); use a reply's revision + 1")
        }
    }

    static func check(ttlSeconds: Int) throws {
        if !StoreLimits.leaseSeconds.contains(ttlSeconds) {
            throw StoreError.invalidRequest(
                "a lease's time is \(ttlSeconds) s, not \(StoreLimits.leaseSeconds)")
        }
    }

    static func check(_ transaction: StoreTransaction) throws {
        var bytes = 0
        try check(count: transaction.compares.count, StoreLimits.compares, "compares")
        for compare in transaction.compares {
            try check(key: compare.key)
            bytes += compare.key.utf8.count
            if case .value(let value) = compare.target { bytes += value.count }
        }
        for branch in [transaction.success, transaction.failure] {
            bytes += try check(branch: branch)
        }
        if bytes > StoreLimits.transactionBytes {
            throw StoreError.limitExceeded(
                "a transaction has \(bytes) bytes of keys and values, "
                    + "the most is \(StoreLimits.transactionBytes)")
        }
    }

    /// Returns the bytes of the branch's keys and values.
    private static func check(branch: [StoreOperation]) throws -> Int {
        try check(count: branch.count, StoreLimits.operations, "operations")
        var bytes = 0
        // By bytes: Swift compares strings by canonical equivalence, the store does not.
        var puts: Set<[UInt8]> = []
        for operation in branch {
            switch operation {
            case .put(let key, let value, _):
                try check(key: key)
                if value.count > StoreLimits.valueBytes {
                    throw StoreError.limitExceeded(
                        "the value of '\(key)' has \(value.count) bytes, "
                            + "the most is \(StoreLimits.valueBytes)")
                }
                bytes += key.utf8.count + value.count
                if !puts.insert(Array(key.utf8)).inserted {
                    throw StoreError.invalidRequest("a transaction puts '\(key)' twice")
                }
            case .delete(let key), .get(let key):
                try check(key: key)
                bytes += key.utf8.count
            case .deletePrefix(let prefix):
                try check(prefix: prefix)
                bytes += prefix.utf8.count
            }
        }
        for operation in branch {
            let clash: Bool
            switch operation {
            case .delete(let key): clash = puts.contains(Array(key.utf8))
            case .deletePrefix(let prefix): clash = puts.contains { $0.starts(with: prefix.utf8) }
            case .put, .get: clash = false
            }
            if clash {
                throw StoreError.invalidRequest("a transaction puts a key that it also deletes")
            }
        }
        return bytes
    }

    private static func check(count: Int, _ most: Int, _ what: String) throws {
        if count > most {
            throw StoreError.limitExceeded(
                "a transaction has \(count) \(what), the most is \(most)")
        }
    }
}
