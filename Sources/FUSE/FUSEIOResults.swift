import VolumeModel

/// How the segments of one submit ended, in their order. Valid during the call that brings it.
public struct FUSEIOResults {
    let segments: UnsafePointer<FUSESegmentState>
    public let count: Int

    /// The bytes moved, less than asked only at the LUN's end; or a negative errno.
    public subscript(index: Int) -> Int {
        precondition(index >= 0 && index < count, "no such segment")
        return segments[index].error != 0
            ? Int(segments[index].error) : Int(segments[index].doneBytes)
    }

    /// Every segment moved all its bytes.
    public var isComplete: Bool {
        for index in 0..<count
        where segments[index].error != 0
            || segments[index].doneBytes != segments[index].lengthBytes
        {
            return false
        }
        return true
    }

    /// The first segment's error that there is.
    public var error: ErrorCode? {
        for index in 0..<count where segments[index].error != 0 {
            return ErrorCode(-segments[index].error)
        }
        return nil
    }
}

/// A run of a slot's buffer and its place on the LUN.
public struct FUSELUNSegment: Sendable {
    /// The LUN's, of this node's own path. It must stay open until the I/O has ended.
    public var descriptor: Int32
    public var lunOffsetBytes: UInt64
    public var bufferOffsetBytes: Int
    public var lengthBytes: Int
    /// Sending it may block the thread that does (a file of another FUSE mount, whose lock a hung
    /// fsync(2) holds): it is sent by the ring's own threads.
    public var mayBlock: Bool

    public init(
        descriptor: Int32, lunOffsetBytes: UInt64, bufferOffsetBytes: Int, lengthBytes: Int,
        mayBlock: Bool = false
    ) {
        self.descriptor = descriptor
        self.lunOffsetBytes = lunOffsetBytes
        self.bufferOffsetBytes = bufferOffsetBytes
        self.lengthBytes = lengthBytes
        self.mayBlock = mayBlock
    }
}

enum FUSESegmentOperation: UInt8 {
    case read
    case write
    case writeDSync
    case flush
}

/// One segment under way.
struct FUSESegmentState {
    var lunOffsetBytes: UInt64 = 0
    var descriptor: Int32 = -1
    var bufferOffsetBytes: UInt32 = 0
    var lengthBytes: UInt32 = 0
    var doneBytes: UInt32 = 0
    /// 0, or a negative errno.
    var error: Int32 = 0
    var operation = FUSESegmentOperation.read
    /// How often the kernel asked for one more try (EAGAIN, EINTR).
    var retries: UInt8 = 0
    var mayBlock = false
}
