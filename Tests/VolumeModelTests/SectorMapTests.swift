import Testing

@testable import VolumeModel

private let block = Limits.blockSizeBytes

/// Blocks, not bytes.
private func blocks(_ start: UInt64, _ end: UInt64) -> ByteRange {
    ByteRange(start: start * block, end: end * block)
}

/// Everything in blocks, not bytes.
private func extent(
    _ file: UInt64, _ lun: UInt64, _ length: UInt64, _ state: ExtentState = .written
) -> Extent {
    Extent(
        fileOffsetBytes: file * block, lunOffsetBytes: lun * block, lengthBytes: length * block,
        state: state)
}

private func all(_ map: SectorMap, in range: ByteRange = .everything) -> [Extent] {
    var found: [Extent] = []
    map.forEachExtent(in: range) {
        found.append($0)
        return true
    }
    return found
}

@Suite struct SectorMapTests {
    @Test func emptyMapCoversNothing() {
        let map = SectorMap()
        #expect(map.isEmpty && map.extentCount == 0)
        #expect(map.extent(at: 0) == nil)
        #expect(!map.covers(blocks(0, 1)))
        #expect(map.covers(blocks(3, 3)))
        #expect(map.coveredPrefix(of: blocks(3, 9)) == 3 * block)
    }

    @Test func findsWhatWasInserted() {
        var map = SectorMap()
        map.insert(range: blocks(4, 10), extents: [extent(4, 100, 2), extent(6, 0, 4, .hole)])
        #expect(map.extent(at: 4 * block - 1) == nil)
        #expect(map.extent(at: 5 * block + 7) == extent(4, 100, 2))
        #expect(map.extent(at: 10 * block - 1) == extent(6, 0, 4, .hole))
        #expect(map.extent(at: 10 * block) == nil)
        #expect(map.covers(blocks(4, 10)) && !map.covers(blocks(4, 11)))
        #expect(map.coveredPrefix(of: blocks(5, 30)) == 10 * block)
        #expect(map.coveredPrefix(of: blocks(3, 30)) == 3 * block)
    }

    @Test func clipsToTheByte() {
        var map = SectorMap()
        map.insert(range: blocks(0, 4), extents: [extent(0, 50, 4)])
        let part = ByteRange(start: 100, end: 5000)
        #expect(
            all(map, in: part) == [
                Extent(
                    fileOffsetBytes: 100, lunOffsetBytes: 50 * block + 100, lengthBytes: 4900,
                    state: .written)
            ])
    }

    @Test func insertionReplacesAndSplits() {
        var map = SectorMap()
        map.insert(range: blocks(0, 10), extents: [extent(0, 100, 10)])
        map.insert(range: blocks(3, 5), extents: [extent(3, 0, 2, .hole)])
        #expect(all(map) == [extent(0, 100, 3), extent(3, 0, 2, .hole), extent(5, 105, 5)])
        map.insert(range: blocks(3, 5), extents: [extent(3, 103, 2)])
        #expect(all(map) == [extent(0, 100, 10)])
        #expect(map.extentCount == 1)
    }

    @Test func joinsOnlyWhatContinuesOnTheLUN() {
        var map = SectorMap()
        map.insert(range: blocks(0, 2), extents: [extent(0, 10, 2)])
        map.insert(range: blocks(2, 4), extents: [extent(2, 12, 2)])
        map.insert(range: blocks(4, 6), extents: [extent(4, 99, 2)])
        map.insert(range: blocks(6, 8), extents: [extent(6, 101, 2, .shared)])
        #expect(all(map) == [extent(0, 10, 4), extent(4, 99, 2), extent(6, 101, 2, .shared)])
    }

    @Test func removalWidensToBlocks() {
        var map = SectorMap()
        map.insert(range: blocks(0, 4), extents: [extent(0, 8, 4)])
        map.remove(ByteRange(start: block + 1, end: block + 2))
        #expect(all(map) == [extent(0, 8, 1), extent(2, 10, 2)])
        map.remove(.everything)
        #expect(map.isEmpty && map.extentCount == 0)
    }

    @Test func iterationStops() {
        var map = SectorMap()
        map.insert(range: blocks(0, 2), extents: [extent(0, 8, 1), extent(1, 4, 1)])
        var seen = 0
        map.forEachExtent(in: .everything) { _ in
            seen += 1
            return false
        }
        #expect(seen == 1)
    }

    @Test(arguments: [
        (blocks(0, 2), [extent(0, 5, 1)]),  // A gap at the end.
        (blocks(0, 2), [extent(1, 5, 1)]),  // A gap at the start.
        (blocks(0, 2), [extent(0, 5, 3)]),  // Too long.
        (blocks(0, 2), [extent(0, 5, 1), extent(0, 5, 2)]),  // An overlap.
        (blocks(0, 1), [extent(0, 5, 1, .hole)]),  // A hole with an address.
        (blocks(0, 1), [extent(0, 5, 0), extent(0, 5, 1)]),  // An empty extent.
        (blocks(0, 1), []),
        (
            ByteRange(start: 0, end: 100),
            [
                Extent(fileOffsetBytes: 0, lunOffsetBytes: 0, lengthBytes: 100, state: .written)
            ]
        ),
        (
            blocks(0, 1),
            [
                Extent(fileOffsetBytes: 0, lunOffsetBytes: 512, lengthBytes: block, state: .written)
            ]
        ),
        (
            blocks(0, 2),
            [  // The address overflows.
                Extent(
                    fileOffsetBytes: 0, lunOffsetBytes: UInt64.max - block + 1,
                    lengthBytes: 2 * block,
                    state: .written)
            ]
        ),
        (
            ByteRange(start: 0, end: 3 << 62),
            [  // Beyond the largest offset.
                Extent(fileOffsetBytes: 0, lunOffsetBytes: 0, lengthBytes: 3 << 62, state: .hole)
            ]
        ),
        (
            blocks(1, 2),
            [  // The length overflows.
                Extent(
                    fileOffsetBytes: block, lunOffsetBytes: 0, lengthBytes: UInt64.max - block + 1,
                    state: .hole)
            ]
        ),
    ])
    func refusesInvalid(_ range: ByteRange, _ extents: [Extent]) {
        #expect(!SectorMap.isValid(range: range, extents: extents))
    }

    @Test func largestRangesAreValid() {
        let whole = ByteRange(start: 0, end: 1 << 63)
        let hole = Extent(fileOffsetBytes: 0, lunOffsetBytes: 0, lengthBytes: 1 << 63, state: .hole)
        #expect(SectorMap.isValid(range: whole, extents: [hole]))
        #expect(SectorMap.isValid(range: blocks(7, 7), extents: []))
        var map = SectorMap()
        map.insert(range: whole, extents: [hole])
        map.remove(blocks(1, 2))
        #expect(map.extentCount == 2)
        #expect(map.extent(at: UInt64(Int64.max))?.fileEndBytes == 1 << 63)
    }
}
