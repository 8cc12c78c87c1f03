import Testing

@testable import VolumeModel

private let block = Limits.blockSizeBytes

@Suite struct SectorMapScaleTests {
    static let extentCount = 1 << 20

    /// Extents of one block each, of which no two continue each other on the LUN.
    private func piece(_ number: Int) -> (ByteRange, [Extent]) {
        let size = Limits.extentsPerGrantMaximum
        let extents = (number * size..<(number + 1) * size).map { index in
            Extent(
                fileOffsetBytes: UInt64(index) * block, lunOffsetBytes: UInt64(2 * index) * block,
                lengthBytes: block, state: .written)
        }
        let range = ByteRange(
            start: extents[0].fileOffsetBytes, end: extents[size - 1].fileEndBytes)
        return (range, extents)
    }

    @Test func millionExtentsInRandomOrder() {
        let seed: UInt64 = 20_251_122
        print("SectorMapScaleTests seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var map = SectorMap()
        let pieces = Self.extentCount / Limits.extentsPerGrantMaximum
        for number in (0..<pieces).shuffled(using: &random) {
            let (range, extents) = piece(number)
            map.insert(range: range, extents: extents)
        }
        #expect(map.extentCount == Self.extentCount)
        #expect(map.covers(ByteRange(start: 0, end: UInt64(Self.extentCount) * block)))
        for _ in 0..<10_000 {
            let index = Int.random(in: 0..<Self.extentCount, using: &random)
            #expect(
                map.extent(at: UInt64(index) * block + 1)?.lunOffsetBytes
                    == UInt64(2 * index) * block)
        }
        let perExtent = Double(map.memoryBytes) / Double(Self.extentCount)
        print("a sector map of \(Self.extentCount) extents takes \(perExtent) bytes per extent")
        #expect(MemoryLayout<PackedExtent>.stride == 24)
        #expect(perExtent < 32)
        // Logarithmic look-ups rest on these two.
        #expect(map.leaves.count <= 2 * Self.extentCount / map.extentsPerLeafMaximum)
        #expect(map.leaves.allSatisfy { $0.count <= map.extentsPerLeafMaximum })
    }

    @Test func oneByOneKeepsLeavesFilled() {
        var map = SectorMap()
        for index in 0..<20_000 {
            let extent = Extent(
                fileOffsetBytes: UInt64(index) * block, lunOffsetBytes: UInt64(2 * index) * block,
                lengthBytes: block, state: .written)
            map.insert(range: extent.fileRange, extents: [extent])
        }
        #expect(map.leaves.count <= 20_000 / map.extentsPerLeafMaximum + 1)
    }

    @Test func removalsJoinLeaves() {
        var map = SectorMap()
        for number in 0..<16 {
            let (range, extents) = piece(number)
            map.insert(range: range, extents: extents)
        }
        for index in 0..<16 * Limits.extentsPerGrantMaximum where index % 128 != 0 {
            map.remove(ByteRange(offset: UInt64(index) * block, length: block))
        }
        #expect(map.extentCount == 16 * Limits.extentsPerGrantMaximum / 128)
        #expect(map.leaves.count <= 8)
    }
}
