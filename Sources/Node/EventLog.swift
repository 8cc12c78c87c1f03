import ClusterStore
import Foundation
import Logging
import Management
import VolumeModel

/// One entry of `covol events`, as it is kept in the store.
struct EventRecord: Codable, Sendable {
    /// Seconds since 1970, UTC.
    var timeSeconds: Double
    /// A ``Management/ClusterEventKind``.
    var kind: String
    /// A ``Management/EventSeverity``.
    var severity: String
    var volume: String?
    var node: String?
    var cause: String?
    var outcome: String?
    var durationSeconds: Double?
    /// A sentence on which an operator can act.
    var text: String
}

/// Writes events to the store, in the order of their coming, and never stands in the way: what
/// cannot be written now is kept for a while.
actor EventLog {
    /// How many events the store keeps.
    static let eventsMaximum = 2000
    private static let pendingMaximum = 256

    private let node: String
    private let store: any ClusterStore
    private let log: Logger
    private var pending: [(key: String, record: EventRecord)] = []
    private var isWriting = false
    private var lastMicroseconds: UInt64 = 0
    private var written = 0

    init(node: String, store: any ClusterStore, log: Logger) {
        self.node = node
        self.store = store
        self.log = log
    }

    nonisolated func note(
        _ kind: ClusterEventKind, _ severity: EventSeverity = .info, volume: String? = nil,
        node: String? = nil, cause: String? = nil, outcome: String? = nil,
        durationSeconds: Double? = nil, _ text: String
    ) {
        let record = EventRecord(
            timeSeconds: Date().timeIntervalSince1970, kind: kind.rawValue,
            severity: severity.rawValue,
            volume: volume, node: node ?? self.node, cause: cause, outcome: outcome,
            durationSeconds: durationSeconds, text: text)
        log.notice("\(text)", metadata: ["event": "\(kind.rawValue)"])
        Task { await add(record) }
    }

    private func add(_ record: EventRecord) async {
        guard pending.count < Self.pendingMaximum else {
            log.warning("an event was dropped: the store does not take them")
            return
        }
        pending.append((key(record), record))
        guard !isWriting else { return }
        isWriting = true
        defer { isWriting = false }
        while let (key, next) = pending.first {
            do {
                try await store.putJSON(key, next)
                pending.removeFirst()
                written += 1
                if written % 32 == 1 { try await prune() }
            } catch {
                log.debug("an event was not written yet", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Keys sort by time; a node's own events never share one.
    private func key(_ record: EventRecord) -> String {
        let now = max(UInt64(record.timeSeconds * 1e6), lastMicroseconds + 1)
        lastMicroseconds = now
        let digits = String(now)
        return StoreKeys.events + String(repeating: "0", count: max(0, 20 - digits.count)) + digits
            + "-" + node
    }

    private func prune() async throws {
        let keys = try await store.all(prefix: StoreKeys.events).entries.map(\.key)
        for key in keys.dropLast(Self.eventsMaximum) { _ = try await store.delete(key) }
    }
}
