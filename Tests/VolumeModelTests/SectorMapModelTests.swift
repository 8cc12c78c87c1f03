import Testing

@testable import VolumeModel

private let block = Limits.blockSizeBytes

/// A map as an array with one entry per block.
private struct BlockModel {
    struct Block: Equatable {
        var state: ExtentState
        var lunBlock: UInt64
    }

    var blocks: [Block?]

    /// The extents that the map must hold: maximal runs.
    func extents(from start: Int, to end: Int) -> [Extent] {
        var found: [Extent] = []
        for index in start..<end {
            guard let here = blocks[index] else { continue }
            let piece = Extent(
                fileOffsetBytes: UInt64(index) * block, lunOffsetBytes: here.lunBlock * block,
                lengthBytes: block, state: here.state)
            if let last = found.last, last.fileEndBytes == piece.fileOffsetBytes,
                last.state == piece.state,
                !piece.hasAddress || last.lunOffsetBytes + last.lengthBytes == piece.lunOffsetBytes
            {
                found[found.count - 1].lengthBytes += block
            } else {
                found.append(piece)
            }
        }
        return found
    }
}

@Suite struct SectorMapModelTests {
    @Test(arguments: [4, 5, 16, 512], 0..<4)
    func agreesWithAModel(leaf: Int, salt: Int) {
        let seed = UInt64(salt) &* 1_000_003 &+ UInt64(leaf)
        print("SectorMapModelTests seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let size = 300
        var map = SectorMap(extentsPerLeafMaximum: leaf)
        var model = BlockModel(blocks: Array(repeating: nil, count: size))
        for step in 0..<1500 {
            let start = Int.random(in: 0..<size, using: &random)
            let end = min(size, start + Int.random(in: 0...40, using: &random))
            let range = ByteRange(start: UInt64(start) * block, end: UInt64(end) * block)
            if Int.random(in: 0..<3, using: &random) == 0 {
                map.remove(range)
                for index in start..<end { model.blocks[index] = nil }
            } else {
                let extents = randomExtents(start: start, end: end, using: &random)
                for extent in extents { fill(&model, with: extent) }
                map.insert(range: range, extents: extents)
            }
            let expected = model.extents(from: 0, to: size)
            guard check(map, model, expected, using: &random) else {
                Issue.record("differs at step \(step) of seed \(seed)")
                return
            }
        }
    }

    private func check(
        _ map: SectorMap, _ model: BlockModel, _ expected: [Extent],
        using random: inout SeededGenerator
    ) -> Bool {
        var found: [Extent] = []
        map.forEachExtent(in: .everything) {
            found.append($0)
            return true
        }
        guard found == expected, map.extentCount == expected.count,
            map.isEmpty == expected.isEmpty, structureHolds(map)
        else { return false }

        let offset = UInt64.random(in: 0..<UInt64(model.blocks.count) * block, using: &random)
        let holder = expected.first {
            $0.fileOffsetBytes <= offset && offset < $0.fileEndBytes
        }
        guard map.extent(at: offset) == holder else { return false }

        let start = Int.random(in: 0..<model.blocks.count, using: &random)
        let end = Int.random(in: start...model.blocks.count, using: &random)
        let range = ByteRange(start: UInt64(start) * block, end: UInt64(end) * block)
        var part: [Extent] = []
        map.forEachExtent(in: range) {
            part.append($0)
            return true
        }
        let covered = model.blocks[start..<end].firstIndex { $0 == nil } ?? end
        return part == model.extents(from: start, to: end)
            && map.coveredPrefix(of: range) == UInt64(covered) * block
            && map.covers(range) == (covered == end)
    }

    private func structureHolds(_ map: SectorMap) -> Bool {
        map.leaves.allSatisfy { (1...map.extentsPerLeafMaximum).contains($0.count) }
            && map.leafStarts == map.leaves.map { $0[0].fileOffsetBytes }
    }

    private func randomExtents(
        start: Int, end: Int, using random: inout SeededGenerator
    ) -> [Extent] {
        var extents: [Extent] = []
        var position = start
        while position < end {
            let length = Int.random(in: 1...min(6, end - position), using: &random)
            let state = ExtentState.allCases.randomElement(using: &random) ?? .hole
            var extent = Extent(
                fileOffsetBytes: UInt64(position) * block, lunOffsetBytes: 0,
                lengthBytes: UInt64(length) * block, state: state)
            // Often where the file block says, so that neighbours continue each other.
            let far = UInt64.random(in: 0..<1000, using: &random)
            let lunBlock = Bool.random(using: &random) ? UInt64(position) : far
            if extent.hasAddress { extent.lunOffsetBytes = lunBlock * block }
            extents.append(extent)
            position += length
        }
        return extents
    }

    private func fill(_ model: inout BlockModel, with extent: Extent) {
        let first = Int(extent.fileOffsetBytes / block)
        for index in 0..<Int(extent.lengthBytes / block) {
            let lunBlock = extent.hasAddress ? extent.lunOffsetBytes / block + UInt64(index) : 0
            model.blocks[first + index] = .init(state: extent.state, lunBlock: lunBlock)
        }
    }
}
