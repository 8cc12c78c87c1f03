/// What a watch found: the events from one revision on, transactions undivided.
public struct WatchPage: Hashable, Sendable {
    public var events: [StoreEvent]
    /// Where the next page starts.
    public var nextRevision: StoreRevision

    public init(events: [StoreEvent], nextRevision: StoreRevision) {
        self.events = events
        self.nextRevision = nextRevision
    }
}

/// The changes below a prefix, from a revision on, in order and without gaps.
///
/// A watch is a cursor into the store's history, not a queue: a consumer that is slow costs
/// nothing, and one that falls behind what the store keeps gets `StoreError.compacted`. It lasts
/// until the task that iterates is cancelled (`CancellationError`) or the store throws; losing the
/// connection does not end it. Every iterator starts at the watch's first revision.
public struct StoreWatch: AsyncSequence, Sendable {
    public typealias Element = StoreEvent
    /// Returns a page that starts at the given revision; waits while there is none.
    public typealias Fetch = @Sendable (StoreRevision) async throws -> WatchPage

    let fromRevision: StoreRevision
    let fetch: Fetch

    public init(fromRevision: StoreRevision, fetch: @escaping Fetch) {
        self.fromRevision = fromRevision
        self.fetch = fetch
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(transactions: transactions.makeAsyncIterator())
    }

    /// The same changes, the events of each transaction together.
    public var transactions: Transactions { Transactions(watch: self) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        var transactions: Transactions.AsyncIterator
        var events: ArraySlice<StoreEvent> = []

        public mutating func next() async throws -> StoreEvent? {
            if events.isEmpty {
                guard let transaction = try await transactions.next() else { return nil }
                events = transaction[...]
            }
            return events.popFirst()
        }
    }

    public struct Transactions: AsyncSequence, Sendable {
        public typealias Element = [StoreEvent]
        let watch: StoreWatch

        public func makeAsyncIterator() -> AsyncIterator {
            AsyncIterator(revision: watch.fromRevision, fetch: watch.fetch)
        }

        public struct AsyncIterator: AsyncIteratorProtocol {
            var revision: StoreRevision
            let fetch: Fetch
            var events: ArraySlice<StoreEvent> = []
            var finished = false

            public mutating func next() async throws -> [StoreEvent]? {
                while events.isEmpty {
                    if finished { return nil }
                    do {
                        let page = try await fetch(revision)
                        revision = page.nextRevision
                        events = page.events[...]
                    } catch {
                        finished = true
                        throw error
                    }
                }
                let first = events[events.startIndex].revision
                let transaction = events.prefix { $0.revision == first }
                events = events.dropFirst(transaction.count)
                return Array(transaction)
            }
        }
    }
}
