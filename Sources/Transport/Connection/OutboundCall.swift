import NIOCore
import Synchronization

/// The id of a call, and whether its task was cancelled before the connection heard of the call.
final class CallTicket: Sendable {
    private static let nextID = Atomic<UInt64>(1)

    /// Unique in this process; zero is the id of pings.
    let id: UInt64 = CallTicket.nextID.wrappingAdd(1, ordering: .relaxed).oldValue
    private let cancelled = Atomic<Bool>(false)

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    /// The cancellation may reach the event loop before the call does; then this flag stops it.
    func cancel() { cancelled.store(true, ordering: .releasing) }
}

/// How a call ended.
public typealias CallResult = Result<TransportMessage, TransportError>
/// Who waits for a call's end; resumed exactly once.
enum CallContinuation {
    case task(CheckedContinuation<CallResult, Never>)
    case closure(@Sendable (CallResult) -> Void)

    func resume(returning result: CallResult) {
        switch self {
        case .task(let continuation): continuation.resume(returning: result)
        case .closure(let completion): completion(result)
        }
    }
}

/// A request or one-way message on its way out.
struct OutboundCall {
    enum Kind {
        /// Resumed with the answer.
        case request
        /// Resumed when written.
        case oneway
    }

    let ticket: CallTicket
    let kind: Kind
    let message: TransportMessage
    let timeout: Duration?
    let continuation: CallContinuation
}

/// A call that was sent and not answered. Its place in the window lasts until the answer.
struct OutstandingCall {
    let frameBytes: Int
    /// Nil once the caller has gone: timed out, cancelled, or it wants no answer.
    var continuation: CallContinuation?
    var timeout: Scheduled<Void>?
}
