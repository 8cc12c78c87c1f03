/// What a client asks. `cancel` has no reply.
enum StoreRequest: Hashable, Sendable {
    /// The first message of a connection, and only the first.
    case hello(version: UInt16)
    case get(key: String)
    case range(prefix: String, after: String?, limit: Int)
    case transaction(StoreTransaction)
    case grantLease(ttlSeconds: Int)
    case keepAlive(LeaseID)
    case revokeLease(LeaseID)
    /// Answered when there are events, or without any after `waitMilliseconds`.
    case poll(prefix: String, fromRevision: StoreRevision, waitMilliseconds: Int)
    /// The sender no longer wants the reply to its poll of that number.
    case cancel(request: UInt64)

    /// Whether doing it a second time does no harm: reads; a renewal; a grant, whose first lease
    /// ends by itself, without keys.
    var isRepeatable: Bool {
        switch self {
        case .hello, .get, .range, .grantLease, .keepAlive, .poll, .cancel: true
        case .transaction(let transaction): !transaction.changes
        case .revokeLease: false
        }
    }
}

enum StoreReply: Hashable, Sendable {
    case hello(StoreHello)
    case get(GetResponse)
    case range(RangeResponse)
    case transaction(TransactionResponse)
    case lease(LeaseResponse)
    case revoked(revision: StoreRevision)
    case page(WatchPage)
    case failure(StoreError)
}

struct StoreHello: Hashable, Sendable {
    static let version: UInt16 = 1
    /// Made with the database: tells a store that was replaced from one that was restarted.
    var storeID: [UInt8]
    var revision: StoreRevision
}

/// One frame's body: the number ties a reply to its request.
struct StoreMessage<Body: Hashable & Sendable>: Hashable, Sendable {
    var number: UInt64
    var body: Body
}
