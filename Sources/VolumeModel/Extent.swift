/// A half-open run of bytes, of a file or of a LUN.
public struct ByteRange: Hashable, Sendable, CustomStringConvertible {
    public var startBytes: UInt64
    public var endBytes: UInt64

    /// Everything from a start on, whatever the size.
    public static let everything = ByteRange(start: 0, end: UInt64.max)

    public init(start: UInt64, end: UInt64) {
        precondition(start <= end, "a range ends before it starts")
        startBytes = start
        endBytes = end
    }

    /// Saturates at the largest offset.
    public init(offset: UInt64, length: UInt64) {
        let (end, overflow) = offset.addingReportingOverflow(length)
        self.init(start: offset, end: overflow ? .max : end)
    }

    public var lengthBytes: UInt64 { endBytes - startBytes }
    public var isEmpty: Bool { startBytes == endBytes }

    public func overlaps(_ other: ByteRange) -> Bool {
        startBytes < other.endBytes && other.startBytes < endBytes
    }

    public func contains(_ other: ByteRange) -> Bool {
        startBytes <= other.startBytes && other.endBytes <= endBytes
    }

    public func intersection(_ other: ByteRange) -> ByteRange? {
        let start = max(startBytes, other.startBytes)
        let end = min(endBytes, other.endBytes)
        return start < end ? ByteRange(start: start, end: end) : nil
    }

    /// Widened to whole blocks of `blockSizeBytes`, a power of two.
    public func wholeBlocks(_ blockSizeBytes: UInt64) -> ByteRange {
        let mask = blockSizeBytes - 1
        let start = startBytes & ~mask
        let (sum, overflow) = endBytes.addingReportingOverflow(mask)
        return ByteRange(start: start, end: overflow ? .max : sum & ~mask)
    }

    /// True where both ends lie on block boundaries.
    public func isWholeBlocks(_ blockSizeBytes: UInt64) -> Bool {
        (startBytes | endBytes) & (blockSizeBytes - 1) == 0
    }

    public var description: String { "[\(startBytes), \(endBytes))" }
}

/// What may be done directly with an extent (rule written-before-grant).
public enum ExtentState: UInt8, Sendable, CaseIterable {
    /// Plain and written: reads and writes are direct.
    case written = 0
    /// Nothing allocated: reads are zeros, writes go to the coordinator.
    case hole = 1
    /// Allocated but never written: reads are zeros, writes go to the coordinator.
    case unwritten = 2
    /// Reflinked: reads are direct, writes go to the coordinator.
    case shared = 3
    /// Inline, encoded, delayed, unaligned or unknown: everything goes to the coordinator.
    case opaque = 4
}

/// A run of a file's bytes that is contiguous on the LUN, or not on it at all.
public struct Extent: Hashable, Sendable {
    public var fileOffsetBytes: UInt64
    /// Meaningful for `written`, `shared` and `unwritten`; zero otherwise.
    public var lunOffsetBytes: UInt64
    public var lengthBytes: UInt64
    public var state: ExtentState

    public init(
        fileOffsetBytes: UInt64, lunOffsetBytes: UInt64, lengthBytes: UInt64, state: ExtentState
    ) {
        self.fileOffsetBytes = fileOffsetBytes
        self.lunOffsetBytes = lunOffsetBytes
        self.lengthBytes = lengthBytes
        self.state = state
    }

    public var fileRange: ByteRange { ByteRange(offset: fileOffsetBytes, length: lengthBytes) }
    public var fileEndBytes: UInt64 { fileOffsetBytes + lengthBytes }

    /// The part of this extent that lies in `range`; nil where none does.
    public func clipped(to range: ByteRange) -> Extent? {
        guard let part = fileRange.intersection(range) else { return nil }
        let skip = part.startBytes - fileOffsetBytes
        let hasAddress = state == .written || state == .shared || state == .unwritten
        return Extent(
            fileOffsetBytes: part.startBytes,
            lunOffsetBytes: hasAddress ? lunOffsetBytes + skip : 0,
            lengthBytes: part.lengthBytes, state: state)
    }
}
