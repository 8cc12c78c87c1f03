import NIOCore
import VolumeModel
import VolumeProtocol

/// The way from a coordinator to a node of its volume.
public protocol NodePort: AnyObject, Sendable {
    /// Asks a node to give layouts back. Nil: the node did not answer; it keeps what it had.
    func recall(
        _ file: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration
    ) async -> WriteReport?
    /// Asks a node what it wrote directly. Nil: the node did not answer.
    func collectWrites(_ file: FileHandle) async -> WriteReport?
    /// Asks a node to show nothing of a file's attributes and names any more without asking. False:
    /// the node did not answer; it keeps what it had.
    func recallMetadata(_ file: FileHandle) async -> Bool
}

/// The answer to one request, with its bulk bytes.
public struct CoordinatorAnswer: Sendable {
    public var result: OperationResult
    public var payload: ByteBuffer?
    /// What of it the node may keep.
    public var grant: MetadataGrant

    public init(
        _ result: OperationResult, payload: ByteBuffer? = nil, grant: MetadataGrant = []
    ) {
        self.result = result
        self.payload = payload
        self.grant = grant
    }
}
