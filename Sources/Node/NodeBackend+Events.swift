import ClusterStore
import Foundation
import Management

extension NodeBackend {
    func events(_ request: EventRequest) async throws -> [ClusterEvent] {
        try await newest(request).events
    }

    private func newest(
        _ request: EventRequest
    ) async throws -> (events: [ClusterEvent], revision: StoreRevision) {
        let all = try await context.store.all(prefix: StoreKeys.events)
        let events = all.entries.compactMap(ClusterEvent.init).sorted { $0.sequence < $1.sequence }
        return (Array(events.filter(request.matches).suffix(request.limit)), all.revision)
    }

    func followEvents(
        _ request: EventRequest
    ) async throws -> AsyncThrowingStream<ClusterEvent, any Error> {
        let (first, revision) = try await newest(request)
        let watch = context.store.watch(prefix: StoreKeys.events, fromRevision: revision + 1)
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: ClusterEvent.self)
        let task = Task {
            do {
                for event in first { continuation.yield(event) }
                for try await change in watch {
                    guard case .put(let entry) = change.kind, let event = ClusterEvent(entry),
                        request.matches(event)
                    else { continue }
                    continuation.yield(event)
                }
                continuation.finish()
            } catch {
                continuation.finish(throwing: error)
            }
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }
}

extension ClusterEvent {
    /// An entry of the store's; nil where it is of a newer version and cannot be read.
    init?(_ entry: KeyValue) {
        guard let record = try? entry.decoded(as: EventRecord.self),
            let kind = ClusterEventKind(rawValue: record.kind),
            let severity = EventSeverity(rawValue: record.severity)
        else { return nil }
        self.init(
            sequence: UInt64(entry.modRevision),
            time: Date(timeIntervalSince1970: record.timeSeconds), kind: kind,
            severity: severity, volume: record.volume, node: record.node, cause: record.cause,
            outcome: record.outcome, durationSeconds: record.durationSeconds, text: record.text)
    }
}
