import VolumeModel

/// A mount's file system.
///
/// Every `received`, `completed` and `resumed` runs on a worker's thread and must not block: what has
/// to wait is answered later, from any thread. One worker runs one call at a time; different workers
/// run beside each other. Every slot must be answered, also after ``ended(_:)``: its worker's thread
/// and memory wait for that.
public protocol FUSEHandler: AnyObject, Sendable {
    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort)
    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot)
    /// The payload lies at the start of the slot's buffer, page-aligned.
    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot)
    /// All that one submit of the slot started has ended. `results` is valid during the call.
    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults)
    /// The same, for LUN I/O that ``FUSESlot/abandonIO()`` left behind. Its request goes on elsewhere.
    func abandoned(tag: UInt64, results: FUSEIOResults)
    /// The answer to ``FUSESlot/perform(tag:)``.
    func resumed(slot: FUSESlot, tag: UInt64)
    /// Once, when the connection is over, no worker receives any more, and the LUN I/O that was under
    /// way has ended. Submit nothing afterwards.
    func ended(_ reason: FUSEEndReason)
}

extension FUSEHandler {
    /// For handlers that abandon nothing.
    public func abandoned(tag: UInt64, results: FUSEIOResults) {
        preconditionFailure("LUN I/O was abandoned by a handler that does not say how it goes on")
    }
}

/// Why a mount's connection is over.
public enum FUSEEndReason: Hashable, Sendable, CustomStringConvertible {
    case unmounted
    case aborted
    /// The device failed in a way that has no name here.
    case failed(ErrorCode)

    public var description: String {
        switch self {
        case .unmounted: "unmounted"
        case .aborted: "aborted"
        case .failed(let code): "failed: \(code)"
        }
    }
}
