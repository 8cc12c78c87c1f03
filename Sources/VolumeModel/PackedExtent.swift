/// An extent of a ``SectorMap`` in 24 bytes. Lengths are whole blocks, so their low bits are free
/// and hold the state.
struct PackedExtent: Sendable {
    let fileOffsetBytes: UInt64
    let lunOffsetBytes: UInt64
    private let lengthAndState: UInt64

    private static let stateMask = Limits.blockSizeBytes - 1

    /// `extent` must be in whole blocks.
    init(_ extent: Extent) {
        fileOffsetBytes = extent.fileOffsetBytes
        lunOffsetBytes = extent.lunOffsetBytes
        lengthAndState = extent.lengthBytes | UInt64(extent.state.rawValue)
    }

    var lengthBytes: UInt64 { lengthAndState & ~Self.stateMask }
    var fileEndBytes: UInt64 { fileOffsetBytes + lengthBytes }

    var extent: Extent {
        guard let state = ExtentState(rawValue: UInt8(lengthAndState & Self.stateMask)) else {
            preconditionFailure("a packed extent holds a state that was never packed")
        }
        return Extent(
            fileOffsetBytes: fileOffsetBytes, lunOffsetBytes: lunOffsetBytes,
            lengthBytes: lengthBytes, state: state)
    }

    /// The part of this extent in `range`, whose ends are whole blocks or beyond the extent.
    func clipped(to range: ByteRange) -> PackedExtent? {
        if range.startBytes <= fileOffsetBytes, fileEndBytes <= range.endBytes { return self }
        return extent.clipped(to: range).map(PackedExtent.init)
    }

    /// This extent and `next` as one, where `next` continues it in the file and on the LUN.
    func joined(with next: PackedExtent) -> PackedExtent? {
        guard fileEndBytes == next.fileOffsetBytes,
            lengthAndState & Self.stateMask == next.lengthAndState & Self.stateMask
        else { return nil }
        var whole = extent
        if whole.hasAddress, lunOffsetBytes + lengthBytes != next.lunOffsetBytes { return nil }
        whole.lengthBytes += next.lengthBytes
        return PackedExtent(whole)
    }
}

extension Extent {
    /// Whether the address on the LUN means anything.
    var hasAddress: Bool { state == .written || state == .shared || state == .unwritten }
}
