extension ClusterStore {
    /// The keys below `prefix`, from the start.
    public func range(
        prefix: String, limit: Int = StoreLimits.rangeEntries
    ) async throws -> RangeResponse {
        try await range(prefix: prefix, after: nil, limit: limit)
    }

    /// All keys below `prefix`, in as many pages as it takes. The revision is the first page's: a
    /// watch from there + 1 sees every change that a later page may already show.
    public func all(prefix: String) async throws -> RangeResponse {
        var result = try await range(prefix: prefix)
        while result.more, let last = result.entries.last {
            let page = try await range(
                prefix: prefix, after: last.key, limit: StoreLimits.rangeEntries)
            result.entries += page.entries
            result.more = page.more
        }
        return result
    }

    /// Without `failure`, a transaction whose compares do not hold changes nothing.
    public func transaction(
        compares: [StoreCompare] = [], success: [StoreOperation]
    ) async throws -> TransactionResponse {
        try await transaction(compares: compares, success: success, failure: [])
    }

    /// Returns the revision of the change.
    @discardableResult
    public func put(
        _ key: String, _ value: [UInt8], lease: LeaseID? = nil
    ) async throws -> StoreRevision {
        try await transaction(success: [.put(key, value, lease: lease)]).revision
    }

    /// Whether the key existed.
    @discardableResult
    public func delete(_ key: String) async throws -> Bool {
        try await transaction(success: [.delete(key)]).results == [.deleted(keys: 1)]
    }

    /// Puts if the key's mod revision is still `modRevision` (0: if the key does not exist).
    /// Returns the new mod revision, or nil when someone else was first.
    public func compareAndPut(
        _ key: String, modRevision: StoreRevision, _ value: [UInt8], lease: LeaseID? = nil
    ) async throws -> StoreRevision? {
        let response = try await transaction(
            compares: [.modRevision(key, .equal, modRevision)],
            success: [.put(key, value, lease: lease)])
        return response.succeeded ? response.revision : nil
    }
}
