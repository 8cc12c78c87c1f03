/// What `ClusterStore.follow` delivers.
public enum StoreUpdate: Hashable, Sendable {
    /// All keys below the prefix. It comes first, and again whenever the history in between is
    /// gone: what is not in it does not exist any more.
    case snapshot([KeyValue], revision: StoreRevision)
    /// The events of one transaction. After a snapshot they may repeat what it already shows.
    case changes([StoreEvent])
}

/// The state below a prefix and then its changes, for ever: a watch that reads again by itself
/// when it has fallen behind the history. Ends by cancellation or with the store's error.
public struct StoreFollow: AsyncSequence, Sendable {
    public typealias Element = StoreUpdate
    let store: any ClusterStore
    let prefix: String

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(store: store, prefix: prefix)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let store: any ClusterStore
        let prefix: String
        var changes: StoreWatch.Transactions.AsyncIterator?

        public mutating func next() async throws -> StoreUpdate? {
            do {
                if let events = try await changes?.next() { return .changes(events) }
            } catch StoreError.compacted {
                // Fall through to a new snapshot.
            }
            let state = try await store.all(prefix: prefix)
            changes = store.watch(prefix: prefix, fromRevision: state.revision + 1).transactions
                .makeAsyncIterator()
            return .snapshot(state.entries, revision: state.revision)
        }
    }
}

extension ClusterStore {
    /// The state below `prefix`, then its changes.
    public func follow(prefix: String) -> StoreFollow {
        StoreFollow(store: self, prefix: prefix)
    }
}
