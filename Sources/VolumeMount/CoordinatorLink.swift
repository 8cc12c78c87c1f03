import NIOCore
import VolumeModel
import VolumeProtocol

/// An answer of a coordinator's, with its bulk bytes.
public struct LinkAnswer: Sendable {
    public var result: OperationResult
    public var payload: ByteBuffer?
    /// What of it this node may show again without asking.
    public var grant: MetadataGrant

    public init(
        _ result: OperationResult, payload: ByteBuffer? = nil, grant: MetadataGrant = []
    ) {
        self.result = result
        self.payload = payload
        self.grant = grant
    }
}

/// A mount's way to its volume's coordinator, wherever that runs. It finds the coordinator, opens the
/// session, numbers the requests, and waits where there is no coordinator at the moment.
public protocol CoordinatorLink: AnyObject, Sendable {
    /// Performs an operation. `sent` learns the request's number before it leaves, for a later
    /// ``VolumeProtocol/Operation/cancelLock(sequence:)``.
    func call(
        _ operation: Operation, payload: ByteBuffer?, sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer

    /// The same without a task that waits. `completion` is called once, on any thread; it must not
    /// block.
    func call(
        _ operation: Operation, payload: ByteBuffer?,
        completion: @escaping @Sendable (LinkAnswer) -> Void)
}

extension CoordinatorLink {
    public func call(
        _ operation: Operation, payload: ByteBuffer?,
        completion: @escaping @Sendable (LinkAnswer) -> Void
    ) {
        Task { completion(await call(operation, payload: payload, sent: nil)) }
    }

    func call(_ operation: Operation, payload: ByteBuffer? = nil) async -> LinkAnswer {
        await call(operation, payload: payload, sent: nil)
    }
}
