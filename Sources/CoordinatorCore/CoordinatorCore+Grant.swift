import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// Grants what was mapped, and takes note of it. With the end of the file in it, a layout also
    /// says how long the file is, and so stands in the way of whoever changes that.
    mutating func grant(
        _ file: FileHandle, to session: NodeIdentity, _ range: ByteRange, _ extents: [Extent],
        _ sizeBytes: UInt64
    ) -> OperationResult {
        guard var state = files[file], state.opens[session] != nil else {
            return .failed(.badDescriptor)
        }
        let block = Limits.blockSizeBytes
        let visible = state.growth?.visibleSizeBytes ?? sizeBytes
        let lastBlockEnd = ByteRange(start: 0, end: visible).wholeBlocks(block).endBytes
        let knowsEnd = state.growth == nil && range.endBytes >= lastBlockEnd
        let limit = knowsEnd ? lastBlockEnd : visible & ~(block - 1)
        let start = min(range.startBytes, limit)
        let granted = ByteRange(start: start, end: min(range.endBytes, limit))
        let generation = state.nextGeneration()
        var layout = state.layouts[session] ?? SessionLayout()
        layout.ranges.insert(
            knowsEnd ? ByteRange(start: granted.startBytes, end: .max) : granted)
        if !layout.ranges.isEmpty { state.layouts[session] = layout }
        state.fill?.zeroed.remove(granted)
        files[file] = state
        return .layout(
            LayoutGrant(
                generation: generation, range: granted,
                extents: extents.compactMap { allowed($0.clipped(to: granted)) },
                end: knowsEnd ? .at(sizeBytes: visible) : .unknown))
    }

    /// Gives a session the file's growth over what was lengthened and mapped.
    mutating func growth(
        _ file: FileHandle, to session: NodeIdentity, _ range: ByteRange, _ extents: [Extent],
        _ sizeBytes: UInt64
    ) -> OperationResult {
        guard var state = files[file] else { return .failed(.badDescriptor) }
        let visible = state.visibleSizeBytes ?? 0
        state.growth = Growth(
            session: session, visibleSizeBytes: visible, allocatedEndBytes: sizeBytes)
        state.sizeBytes = sizeBytes
        let generation = state.nextGeneration()
        var layout = state.layouts[session] ?? SessionLayout()
        layout.ranges.remove(ByteRange(start: range.startBytes, end: .max))
        layout.ranges.insert(range)
        state.layouts[session] = layout
        files[file] = state
        return .growth(
            LayoutGrant(
                generation: generation, range: range,
                extents: extents.compactMap { allowed($0.clipped(to: range)) },
                end: .at(sizeBytes: visible)))
    }

    private func allowed(_ extent: Extent?) -> Extent? {
        guard var extent else { return nil }
        // The broken rule takes an extent that was never written for one that was.
        if !rules.contains(.writtenBeforeGrant), extent.state == .unwritten {
            extent.state = .written
        }
        return extent
    }
}
