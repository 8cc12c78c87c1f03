extension SectorMap {
    /// Replaces what the map held over `range`.
    ///
    /// Traps where ``isValid(range:extents:)`` is false: whoever takes them from the wire asks first.
    public mutating func insert(range: ByteRange, extents: [Extent]) {
        precondition(
            Self.isValid(range: range, extents: extents),
            "a sector map was given extents that do not cover their range in whole blocks")
        guard !range.isEmpty else { return }
        replace(range, with: extents)
    }

    /// Forgets `range`, widened to whole blocks.
    public mutating func remove(_ range: ByteRange) {
        guard !range.isEmpty else { return }
        replace(range.wholeBlocks(Limits.blockSizeBytes), with: [])
    }

    public mutating func removeAll() {
        self = SectorMap(extentsPerLeafMaximum: extentsPerLeafMaximum)
    }

    private mutating func replace(_ range: ByteRange, with extents: [Extent]) {
        // Also the leaves that only touch the range, so that extents join across its ends.
        var first =
            range.startBytes == 0 ? 0 : lastLeaf(startingAtOrBefore: range.startBytes - 1) ?? 0
        var end = max(first, firstLeaf(startingAfter: range.endBytes))

        var kept: [PackedExtent] = []
        kept.reserveCapacity(extents.count + 2 * extentsPerLeafMaximum + 2)
        if first < end { keepBefore(range.startBytes, of: leaves[first], in: &kept) }
        for extent in extents { Self.append(PackedExtent(extent), to: &kept) }
        let countBeforeTail = kept.count
        if first < end { keepAfter(range.endBytes, of: leaves[end - 1], in: &kept) }
        let growsAtEnd = end == leaves.count && kept.count == countBeforeTail

        // A leaf that became small joins a neighbour: removals must not leave a leaf per extent.
        if kept.count < extentsPerLeafMaximum / 4 {
            if first > 0, leaves[first - 1].count + kept.count <= extentsPerLeafMaximum {
                first -= 1
                kept.insert(contentsOf: leaves[first], at: 0)
            }
            if end < leaves.count, leaves[end].count + kept.count <= extentsPerLeafMaximum {
                kept.append(contentsOf: leaves[end])
                end += 1
            }
        }

        for leaf in leaves[first..<end] { extentCount -= leaf.count }
        extentCount += kept.count
        let parts = Self.split(kept, maximum: extentsPerLeafMaximum, fillsLeaves: growsAtEnd)
        leafStarts.replaceSubrange(first..<end, with: parts.map { $0[0].fileOffsetBytes })
        leaves.replaceSubrange(first..<end, with: parts)
    }

    private func keepBefore(
        _ offset: UInt64, of leaf: [PackedExtent], in kept: inout [PackedExtent]
    ) {
        let before = ByteRange(start: 0, end: offset)
        for extent in leaf {
            guard let part = extent.clipped(to: before) else { return }
            kept.append(part)
        }
    }

    private func keepAfter(
        _ offset: UInt64, of leaf: [PackedExtent], in kept: inout [PackedExtent]
    ) {
        let after = ByteRange(start: offset, end: .max)
        for extent in leaf[Self.firstIndex(in: leaf, endingAfter: offset)...] {
            guard let part = extent.clipped(to: after) else { continue }
            Self.append(part, to: &kept)
        }
    }

    private static func append(_ extent: PackedExtent, to kept: inout [PackedExtent]) {
        if let last = kept.last, let joined = last.joined(with: extent) {
            kept[kept.count - 1] = joined
        } else {
            kept.append(extent)
        }
    }

    /// Leaves of even size leave each of them room; a map that is loaded from its start to its end
    /// fills them instead.
    private static func split(
        _ extents: [PackedExtent], maximum: Int, fillsLeaves: Bool
    ) -> [[PackedExtent]] {
        guard !extents.isEmpty else { return [] }
        let count = (extents.count + maximum - 1) / maximum
        let size = fillsLeaves ? maximum : (extents.count + count - 1) / count
        return stride(from: 0, to: extents.count, by: size).map { start in
            Array(extents[start..<min(start + size, extents.count)])
        }
    }
}
