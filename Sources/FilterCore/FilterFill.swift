import VolumeModel
import VolumeProtocol

/// Zeros that the coordinator wrote for this node's coming writes, as far as they follow one another.
struct FilterFill: Sendable {
    var range: ByteRange
    /// Where the next fill of a file that is written from front to back begins to be needed.
    var halfwayBytes: UInt64
    /// The end of the last write, as far as one was planned.
    var reachedBytes: UInt64
    var generation: LayoutGeneration
    /// It began where the one before ended.
    var isFollowed: Bool
    /// A fill of what comes next is under way, or came to nothing.
    var isAskingAhead = false

    mutating func wrote(_ written: ByteRange) {
        guard written.overlaps(range) else { return }
        reachedBytes = max(reachedBytes, min(written.endBytes, range.endBytes))
    }

    /// Whether ``wrote(_:)`` would note anything of this.
    func isReached(by written: ByteRange) -> Bool {
        reachedBytes < range.endBytes && written.endBytes > reachedBytes && written.overlaps(range)
    }

    var unused: UnusedFill? {
        reachedBytes < range.endBytes
            ? UnusedFill(
                range: ByteRange(start: reachedBytes, end: range.endBytes), generation: generation)
            : nil
    }
}

/// How much is filled at a time.
public enum FillLimits {
    /// A write somewhere: an aligned piece around it, larger with every so many fills of the file.
    public static let pieceMinimumBytes: UInt64 = 64 << 10
    public static let pieceMaximumBytes: UInt64 = 4 << 20
    static let fillsPerDoubling = 4
    /// A write that follows the last fill: twice as much as that, up to this.
    public static let aheadMaximumBytes: UInt64 = 32 << 20
}

extension FilterCore {
    /// Blocks within the size that everybody is shown may be filled; where this node does not know it,
    /// the coordinator does.
    func mayFill(_ file: FileIndex, _ blocks: ByteRange) -> Bool {
        let known = files[Int(file.number)]
        guard let size = known.growth?.visibleSizeBytes ?? known.sizeBytes else { return true }
        return blocks.endBytes <= size & ~(Limits.blockSizeBytes - 1)
    }

    /// Whether blocks that a write was planned over are still to be filled.
    public func needsFill(_ file: FileIndex, _ blocks: ByteRange) -> Bool {
        guard isDirect, !files[Int(file.number)].isLost else { return false }
        var needs = false
        files[Int(file.number)].map.forEachExtent(in: blocks) { extent in
            needs = extent.state == .hole || extent.state == .unwritten
            return !needs
        }
        return needs
    }

    /// Whether a range is not known to be written, all of it.
    public func mayNeedFill(_ file: FileIndex, _ range: ByteRange) -> Bool {
        let map = files[Int(file.number)].map
        return map.coveredPrefix(of: range) < range.endBytes || needsFill(file, range)
    }

    /// What to ask for, for a write of `blocks`: more of what follows where the file is written from
    /// front to back, else what lies around.
    public func fillRange(_ file: FileIndex, for blocks: ByteRange) -> ByteRange {
        let known = files[Int(file.number)]
        if let fill = known.fill, blocks.overlaps(next(after: fill, blocks.lengthBytes)) {
            return withinFile(
                file,
                ByteRange(
                    start: min(blocks.startBytes, fill.range.endBytes),
                    end: max(blocks.endBytes, next(after: fill, blocks.lengthBytes).endBytes)))
        }
        let doublings = min(known.fillCount / FillLimits.fillsPerDoubling, 32)
        let piece = min(
            FillLimits.pieceMinimumBytes << UInt64(doublings), FillLimits.pieceMaximumBytes)
        return withinFile(
            file,
            ByteRange(
                start: blocks.startBytes & ~(piece - 1),
                end: (blocks.endBytes + piece - 1) & ~(piece - 1)))
    }

    /// Up to the file's size as far as it is known, and no farther than a file can reach: the coordinator
    /// would refuse the message.
    private func withinFile(_ file: FileIndex, _ range: ByteRange) -> ByteRange {
        let known = files[Int(file.number)]
        let size = min(
            known.growth?.visibleSizeBytes ?? known.sizeBytes ?? .max, UInt64(Int64.max))
        let end = min(range.endBytes, size & ~(Limits.blockSizeBytes - 1))
        return ByteRange(start: min(range.startBytes, end), end: end)
    }

    private func next(after fill: FilterFill, _ leastBytes: UInt64) -> ByteRange {
        let length = min(
            max(2 * fill.range.lengthBytes, leastBytes), FillLimits.aheadMaximumBytes)
        return ByteRange(offset: fill.range.endBytes, length: length)
    }

    /// The next piece of a file that is written from front to back, once, when half of the last one is
    /// used: so that its writer need not wait. Nil: nothing is to be asked for now.
    public mutating func fillAhead(_ file: FileIndex) -> ByteRange? {
        let slot = Int(file.number)
        guard let fill = files[slot].fill, !fill.isAskingAhead, files[slot].fillCount > 1,
            fill.reachedBytes >= fill.halfwayBytes, fill.isFollowed
        else { return nil }
        let ahead = withinFile(file, next(after: fill, 0))
        guard !ahead.isEmpty else { return nil }
        files[slot].fill?.isAskingAhead = true
        return ahead
    }

    /// A fill is about to be asked for. The coordinator will not recall from this node what it changes
    /// (rule recall-before-remap), so this node gives it up now: the answer may be lost, and others
    /// write where a hole is remembered here.
    public mutating func beginFill(_ file: FileIndex, _ range: ByteRange) {
        let blocks = range.wholeBlocks(Limits.blockSizeBytes)
        files[Int(file.number)].pendingFill = blocks
        files[Int(file.number)].map.remove(blocks)
    }

    public mutating func fillFailed(_ file: FileIndex) {
        files[Int(file.number)].pendingFill = nil
    }

    /// Takes what was filled: the layout like any other, and note of what was not written yet. False:
    /// nothing was granted that the write can use. Room may be short then: the next piece asked for is
    /// half as large.
    public mutating func applyFill(
        _ grant: LayoutGrant, to file: FileIndex, for blocks: ByteRange
    ) -> Bool {
        let slot = Int(file.number)
        files[slot].pendingFill = nil
        guard apply(grant, to: file, asGrowth: false), !grant.range.isEmpty else { return false }
        guard !needsFill(file, blocks) else {
            files[slot].fillCount -= min(files[slot].fillCount, FillLimits.fillsPerDoubling)
            return false
        }
        files[slot].fillCount += 1
        let follows = files[slot].fill.map { $0.range.endBytes == grant.range.startBytes } ?? false
        files[slot].fill = FilterFill(
            range: grant.range,
            halfwayBytes: grant.range.startBytes + grant.range.lengthBytes / 2,
            reachedBytes: grant.range.startBytes, generation: grant.generation, isFollowed: follows)
        return true
    }
}
