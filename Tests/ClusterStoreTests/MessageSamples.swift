@testable import ClusterStore

/// At least one of every message and case.
enum MessageSamples {
    static let entry = KeyValue(
        key: "volumes/é", value: [0, 1, 255], createRevision: 2, modRevision: 9, version: 4,
        lease: LeaseID(rawValue: 7))
    static let bare = KeyValue(
        key: "k", value: [], createRevision: 1, modRevision: 1, version: 1)

    static let transaction = StoreTransaction(
        compares: [
            .exists("a"), .missing("b"), .createRevision("c", .less, 5),
            .modRevision("d", .greater, .max), .version("e", .notEqual, -1),
            .value("f", .equal, []),
            .value("g", .greater, [1, 2, 3]),
        ],
        success: [
            .put("a", [1], lease: nil), .put("b", [], lease: LeaseID(rawValue: .max)), .get("c"),
        ],
        failure: [.delete("d"), .deletePrefix("")])

    static let requests: [StoreMessage<StoreRequest>] = [
        .hello(version: 1), .get(key: "a"), .range(prefix: "", after: nil, limit: 1),
        .range(prefix: "p/", after: "p/k", limit: 10_000), .transaction(transaction),
        .transaction(StoreTransaction()), .grantLease(ttlSeconds: 10),
        .keepAlive(LeaseID(rawValue: 3)), .revokeLease(LeaseID(rawValue: -1)),
        .poll(prefix: "p", fromRevision: 12, waitMilliseconds: 30_000), .cancel(request: .max),
    ].enumerated().map { StoreMessage(number: UInt64($0), body: $1) }

    static let errors: [StoreError] = [
        .compacted(oldestRevision: 5), .leaseNotFound(LeaseID(rawValue: 6)), .invalidRequest("a"),
        .limitExceeded("b"), .storageFull("c"), .outcomeUnknown("d"), .unavailable("e"),
        .timedOut("f"), .protocolViolation("g"), .storeReplaced("h"), .storeFailed("i"),
        .damaged("j"), .inUse("k"), .closed,
    ]

    static let replies: [StoreMessage<StoreReply>] =
        ([
            .hello(StoreHello(storeID: [1, 2, 3], revision: 4)),
            .get(GetResponse(entry: entry, revision: 9)),
            .get(GetResponse(entry: nil, revision: 9)),
            .range(RangeResponse(entries: [entry, bare], more: true, revision: 10)),
            .transaction(
                TransactionResponse(
                    succeeded: false,
                    results: [.put, .deleted(keys: 9), .entry(nil), .entry(entry)], revision: 11)),
            .lease(LeaseResponse(lease: LeaseID(rawValue: 8), ttlSeconds: 10, revision: 3)),
            .revoked(revision: 6),
            .page(
                WatchPage(
                    events: [
                        StoreEvent(kind: .put(entry), key: entry.key, previous: bare, revision: 9),
                        StoreEvent(kind: .delete, key: "gone", previous: nil, revision: 10),
                    ], nextRevision: 11)),
        ] + errors.map { StoreReply.failure($0) })
        .enumerated().map { StoreMessage(number: UInt64($0), body: $1) }

    static func bytes(_ message: StoreMessage<StoreRequest>) -> [UInt8] {
        var writer = WireWriter()
        message.encode(into: &writer)
        return writer.bytes
    }

    static func bytes(_ message: StoreMessage<StoreReply>) -> [UInt8] {
        var writer = WireWriter()
        message.encode(into: &writer)
        return writer.bytes
    }
}
