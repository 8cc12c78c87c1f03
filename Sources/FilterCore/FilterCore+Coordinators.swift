import VolumeModel
import VolumeProtocol

/// What a node holds of a file over a change of coordinator.
public struct LayoutClaim: Hashable, Sendable {
    public var handle: FileHandle
    /// In order, apart from each other; one that knows the end of the file reaches to the largest
    /// offset.
    public var ranges: [ByteRange]
    public var growth: GrowthClaim?

    public init(handle: FileHandle, ranges: [ByteRange], growth: GrowthClaim?) {
        self.handle = handle
        self.ranges = ranges
        self.growth = growth
    }

    /// In messages of at most so many ranges. The growth goes with the first.
    public func pieces(rangesMaximum: Int) -> [LayoutClaim] {
        guard ranges.count > rangesMaximum else { return [self] }
        return stride(from: 0, to: ranges.count, by: rangesMaximum).map { start in
            LayoutClaim(
                handle: handle,
                ranges: Array(ranges[start..<min(start + rangesMaximum, ranges.count)]),
                growth: start == 0 ? growth : nil)
        }
    }
}

extension FilterCore {
    /// The coordinator is no more, and the next one counts its grants and recalls from the start.
    /// Everything is kept, and used: what was granted was durable, and nothing changes before this
    /// node has told the next coordinator what it holds.
    /// But for the metadata: they are asked for again.
    public mutating func leaveCoordinator() {
        metadata.removeAll()
        for slot in files.indices {
            files[slot].lastRecall = LayoutGeneration(0)
            files[slot].lastGrant = LayoutGeneration(0)
            // The next coordinator knows nothing of it.
            files[slot].fill = nil
        }
    }

    /// The files of which this node has something to tell a new coordinator.
    public var claimedFiles: [FileIndex] {
        files.indices.lazy
            .filter { slot in
                let file = self.files[slot]
                return file.openCount > 0 && !file.isLost
                    && (!file.map.isEmpty || file.sizeBytes != nil || file.growth != nil
                        || file.unsettled != nil
                        || self.lanes.indices.contains {
                            self.lanes[$0].flightCount(of: FileIndex(number: Int32(slot))) > 0
                        })
            }
            .map { FileIndex(number: Int32($0)) }
    }

    /// What this node holds of a file; a growth that was given back, but perhaps never cut to its size,
    /// with it. Nil: nothing any more.
    public func claim(of file: FileIndex) -> LayoutClaim? {
        let known = files[Int(file.number)]
        guard known.openCount > 0, !known.isLost else { return nil }
        var ranges = RangeSet()
        known.map.forEachExtent(in: .everything) { extent in
            ranges.insert(
                ByteRange(start: extent.fileOffsetBytes, end: extent.fileEndBytes))
            return true
        }
        if let size = known.sizeBytes {
            ranges.insert(ByteRange(start: size & ~(Limits.blockSizeBytes - 1), end: .max))
        }
        // What was recalled, but is still being read or written, is held until that has ended: the
        // coordinator that waited for it is no more, and the next one has to wait as well.
        for lane in lanes.indices {
            for flight in lanes[lane].flights where flight.isActive && flight.file == file {
                ranges.insert(flight.range)
            }
        }
        let growth = known.growth?.claim ?? known.unsettled?.claim
        if ranges.isEmpty && growth == nil { return nil }
        return LayoutClaim(handle: known.handle, ranges: ranges.ranges, growth: growth)
    }

    /// Whether a growth was given back of which it is not known that the file was cut to it.
    public func isUnsettled(_ file: FileIndex) -> Bool {
        files[Int(file.number)].unsettled != nil
    }

    /// A new coordinator took up the growth that was given back, and will be told its end: until then
    /// this node's processes go on seeing the size that they know.
    public mutating func takeUp(_ file: FileIndex) {
        let slot = Int(file.number)
        guard files[slot].growth == nil, let unsettled = files[slot].unsettled else { return }
        files[slot].returnedSizeBytes = unsettled.sizeBytes
    }

    /// A new coordinator does not know the growth that was given back: it has been settled.
    public mutating func settled(_ file: FileIndex) {
        files[Int(file.number)].unsettled = nil
        files[Int(file.number)].forgetReturnedSize()
    }

    /// Whether the opens of a file that were there are good for nothing any more.
    public func isLost(_ file: FileIndex) -> Bool { files[Int(file.number)].isLost }

    /// This node was fenced, or its open is refused: whoever has the file open here gets errors from
    /// now on. Later opens of it start anew.
    public mutating func lose(_ file: FileIndex) {
        let slot = Int(file.number)
        guard files[slot].openCount > 0, !files[slot].isLost else { return }
        files[slot].isLost = true
        files[slot].map.removeAll()
        files[slot].sizeBytes = nil
        files[slot].growth = nil
        files[slot].returnedSizeBytes = nil
        files[slot].unsettled = nil
        takeLastWrites(slot)
        files[slot].lastWriteNanoseconds = nil
        indexes[files[slot].handle] = nil
        for lane in lanes.indices { lanes[lane].revoke(file) }
    }

    /// Loses every file that is open. Returns how many.
    public mutating func loseEverything() -> Int {
        metadata.removeAll()
        let open = files.indices.filter { files[$0].openCount > 0 && !files[$0].isLost }
        for slot in open { lose(FileIndex(number: Int32(slot))) }
        return open.count
    }
}
