extension SectorMap {
    /// The extent that holds the byte at `offset`; nil where the map does not cover it.
    public func extent(at offset: UInt64) -> Extent? {
        guard let leaf = lastLeaf(startingAtOrBefore: offset) else { return nil }
        // Not by a name for the leaf: that would count a reference that many threads share.
        let index = Self.firstIndex(in: leaves[leaf], endingAfter: offset)
        guard index < leaves[leaf].count, leaves[leaf][index].fileOffsetBytes <= offset else {
            return nil
        }
        return leaves[leaf][index].extent
    }

    /// Calls `body` with the extents in `range`, clipped to it, in order, until it returns false.
    /// What the map does not cover is left out.
    public func forEachExtent(in range: ByteRange, _ body: (Extent) -> Bool) {
        guard !range.isEmpty, !leaves.isEmpty else { return }
        let firstLeaf = lastLeaf(startingAtOrBefore: range.startBytes) ?? 0
        var index = Self.firstIndex(in: leaves[firstLeaf], endingAfter: range.startBytes)
        for leaf in firstLeaf..<leaves.count {
            while index < leaves[leaf].count {
                let packed = leaves[leaf][index]
                guard packed.fileOffsetBytes < range.endBytes else { return }
                if let part = packed.extent.clipped(to: range), !body(part) { return }
                index += 1
            }
            index = 0
        }
    }

    /// The end of the covered run that starts where `range` does, at most the end of `range`; the
    /// start of `range` where its first byte is not covered.
    public func coveredPrefix(of range: ByteRange) -> UInt64 {
        var position = range.startBytes
        forEachExtent(in: range) { extent in
            guard extent.fileOffsetBytes == position else { return false }
            position = extent.fileEndBytes
            return true
        }
        return position
    }

    /// True where every byte of `range` is covered; an empty range always is.
    public func covers(_ range: ByteRange) -> Bool {
        coveredPrefix(of: range) == range.endBytes
    }

    /// Nil where every leaf starts after `offset`.
    func lastLeaf(startingAtOrBefore offset: UInt64) -> Int? {
        let next = firstLeaf(startingAfter: offset)
        return next == 0 ? nil : next - 1
    }

    /// The number of leaves where none starts after `offset`.
    func firstLeaf(startingAfter offset: UInt64) -> Int {
        var low = 0
        var high = leafStarts.count
        while low < high {
            let middle = (low + high) / 2
            if leafStarts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The first extent that ends after `offset`; the number of extents where none does.
    static func firstIndex(in extents: [PackedExtent], endingAfter offset: UInt64) -> Int {
        var low = 0
        var high = extents.count
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].fileEndBytes <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
