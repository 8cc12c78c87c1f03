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
}

/// The answer to one request, with its bulk bytes.
public struct CoordinatorAnswer: Sendable {
    public var result: OperationResult
    public var payload: ByteBuffer?

    public init(_ result: OperationResult, payload: ByteBuffer? = nil) {
        self.result = result
        self.payload = payload
    }
}
