import VolumeModel

/// Makes a sector map of what `FS_IOC_FIEMAP` returns: `struct fiemap` and its extents, of
/// `linux/fiemap.h` (Documentation/filesystems/fiemap.rst).
public enum FIEMAPDecoder {
    public static let headerBytes = 32
    public static let extentBytes = 56

    /// The kernel's flags of an extent that Covolume knows.
    enum Flag {
        static let last: UInt32 = 0x1
        static let unwritten: UInt32 = 0x800
        static let merged: UInt32 = 0x1000
        static let shared: UInt32 = 0x2000
    }

    /// - Parameters:
    ///   - buffer: the header, its `fm_extent_count` and `fm_mapped_extents` as after the call, and
    ///     the extents.
    ///   - range: what was asked for, in whole blocks.
    ///   - maximumExtents: how many to return at most, holes counted.
    ///   - isOpaque: the whole file is never direct, whatever the extents say.
    /// - Returns: extents without gaps from the start of `range` to `coveredEnd`.
    /// - Throws: EIO where the extents overlap, go backwards or do not fit.
    public static func extents(
        fromFIEMAP buffer: UnsafeRawBufferPointer, range: ByteRange, maximumExtents: Int,
        isOpaque: Bool = false
    ) throws(ErrorCode) -> (extents: [Extent], coveredEnd: UInt64) {
        precondition(range.isWholeBlocks(Limits.blockSizeBytes), "a map of part of a block")
        precondition(maximumExtents > 0, "a map without room")
        guard buffer.count >= headerBytes else { throw .inputOutput }
        let mapped = Int(buffer.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
        let room = Int(buffer.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
        guard mapped <= room, mapped <= (buffer.count - headerBytes) / extentBytes else {
            throw .inputOutput
        }
        var map = MapBuilder(position: range.startBytes, maximumExtents: maximumExtents)
        var previousEnd: UInt64 = 0
        var isLast = mapped < room
        for index in 0..<mapped {
            let raw = RawExtent(buffer, headerBytes + index * extentBytes)
            guard raw.isPlausible, raw.logical >= previousEnd else { throw .inputOutput }
            previousEnd = raw.logical + raw.length
            if raw.flags & Flag.last != 0 { isLast = true }
            let extent = raw.extent(isOpaque: isOpaque)
            guard extent.fileOffsetBytes < range.endBytes else {
                isLast = true
                break
            }
            let rest = ByteRange(start: map.position, end: range.endBytes)
            guard let part = extent.clipped(to: rest) else { continue }
            guard map.appendHole(upTo: part.fileOffsetBytes), map.append(part) else {
                return (map.extents, map.position)
            }
        }
        if isLast, map.position < range.endBytes { _ = map.appendHole(upTo: range.endBytes) }
        return (map.extents, map.position)
    }
}

/// One `struct fiemap_extent`.
private struct RawExtent {
    let logical: UInt64
    let physical: UInt64
    let length: UInt64
    let flags: UInt32

    init(_ buffer: UnsafeRawBufferPointer, _ offset: Int) {
        logical = buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        physical = buffer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        length = buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self)
        flags = buffer.loadUnaligned(fromByteOffset: offset + 40, as: UInt32.self)
    }

    var isPlausible: Bool {
        let maximum = UInt64.max - Limits.blockSizeBytes
        let (end, endOverflow) = logical.addingReportingOverflow(length)
        let (lunEnd, lunOverflow) = physical.addingReportingOverflow(length)
        return length > 0 && !endOverflow && !lunOverflow && end <= maximum && lunEnd <= maximum
    }

    /// With several flags, or one that is not known, the most careful state.
    func extent(isOpaque: Bool) -> Extent {
        let isAligned = (logical | physical | length) & (Limits.blockSizeBytes - 1) == 0
        let state: ExtentState =
            switch flags & ~(FIEMAPDecoder.Flag.last | FIEMAPDecoder.Flag.merged) {
            case _ where isOpaque || !isAligned: .opaque
            case 0: .written
            case FIEMAPDecoder.Flag.unwritten: .unwritten
            case FIEMAPDecoder.Flag.shared: .shared
            default: .opaque
            }
        // Part of a block that is odd makes the whole block odd.
        let blocks = ByteRange(offset: logical, length: length).wholeBlocks(Limits.blockSizeBytes)
        return Extent(
            fileOffsetBytes: blocks.startBytes, lunOffsetBytes: state == .opaque ? 0 : physical,
            lengthBytes: blocks.lengthBytes, state: state)
    }
}

/// A gapless run of extents that joins what continues on the LUN.
private struct MapBuilder {
    private(set) var extents: [Extent] = []
    private(set) var position: UInt64
    private let maximumExtents: Int

    init(position: UInt64, maximumExtents: Int) {
        self.position = position
        self.maximumExtents = maximumExtents
    }

    /// False where there is no room for it.
    mutating func appendHole(upTo end: UInt64) -> Bool {
        guard position < end else { return true }
        return append(
            Extent(
                fileOffsetBytes: position, lunOffsetBytes: 0, lengthBytes: end - position,
                state: .hole))
    }

    mutating func append(_ extent: Extent) -> Bool {
        if let last = extents.last, last.state == extent.state,
            extent.state == .hole || extent.state == .opaque
                || last.lunOffsetBytes + last.lengthBytes == extent.lunOffsetBytes
        {
            extents[extents.count - 1].lengthBytes += extent.lengthBytes
        } else {
            guard extents.count < maximumExtents else { return false }
            extents.append(extent)
        }
        position = extent.fileEndBytes
        return true
    }
}
