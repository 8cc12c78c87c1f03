import VolumeModel

/// A READ or WRITE that goes on without a slot. Answer it exactly once, from any thread; false where
/// the request is gone.
public struct FUSEDetachedRequest: Sendable {
    let route: FUSEAnswerRoute
    let unique: UInt64

    /// At most as many bytes as were asked for. Fewer: the file ends there.
    @discardableResult public func replyRead(_ bytes: UnsafeRawBufferPointer) -> Bool {
        route.reply(
            unique: unique, error: 0, data: bytes.baseAddress, lengthBytes: bytes.count)
    }

    @discardableResult public func replyWritten(_ bytes: UInt32) -> Bool {
        // `struct fuse_write_out`: the count, and four bytes of padding.
        var output = UInt64(bytes).littleEndian
        return withUnsafeBytes(of: &output) {
            route.reply(
                unique: unique, error: 0, data: $0.baseAddress, lengthBytes: $0.count)
        }
    }

    @discardableResult public func replyError(_ code: ErrorCode) -> Bool {
        route.reply(unique: unique, error: -code.number, data: nil, lengthBytes: 0)
    }
}
