import VolumeModel

/// What one operation came to.
public struct IORingCompletion: Sendable {
    /// The number that the operation was queued with.
    public let userData: UInt64
    /// Bytes or events, or a negative errno.
    public let result: Int32

    /// Nil where the operation succeeded.
    public var error: ErrorCode? { result < 0 ? ErrorCode(-result) : nil }
}
