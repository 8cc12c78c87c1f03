import Testing
import VolumeModel

@Suite struct RangeSetTests {
    private func range(_ start: UInt64, _ end: UInt64) -> ByteRange {
        ByteRange(start: start, end: end)
    }

    @Test func joinsWhatTouches() {
        var set = RangeSet()
        set.insert(range(0, 4))
        set.insert(range(8, 12))
        #expect(set.ranges == [range(0, 4), range(8, 12)])
        set.insert(range(4, 8))
        #expect(set.ranges == [range(0, 12)])
    }

    @Test func removalSplits() {
        var set = RangeSet()
        set.insert(.everything)
        set.remove(range(5, 7))
        #expect(set.ranges == [range(0, 5), range(7, .max)])
        #expect(set.contains(range(0, 5)) && !set.contains(range(4, 6)))
        #expect(set.overlaps(range(4, 6)) && !set.overlaps(range(5, 7)))
        set.remove(.everything)
        #expect(set.isEmpty)
    }

    @Test func agreesWithAModel() {
        let seed: UInt64 = 77
        print("RangeSetTests seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var set = RangeSet()
        var model = [Bool](repeating: false, count: 64)
        for step in 0..<5000 {
            let start = Int.random(in: 0..<64, using: &random)
            let end = min(64, start + Int.random(in: 0...12, using: &random))
            let run = range(UInt64(start), UInt64(end))
            let adds = Bool.random(using: &random)
            if adds { set.insert(run) } else { set.remove(run) }
            for index in start..<end { model[index] = adds }

            let low = Int.random(in: 0...64, using: &random)
            let high = Int.random(in: low...64, using: &random)
            let query = range(UInt64(low), UInt64(high))
            let same =
                (0..<64).allSatisfy { set.contains(UInt64($0)) == model[$0] }
                && set.contains(query) == model[low..<high].allSatisfy { $0 }
                && set.overlaps(query) == model[low..<high].contains(true)
                && zip(set.ranges, set.ranges.dropFirst()).allSatisfy {
                    $0.endBytes < $1.startBytes
                }
                && set.ranges.allSatisfy { !$0.isEmpty }
                && set.isEmpty == !model.contains(true)
            guard same else {
                Issue.record("differs at step \(step) of seed \(seed)")
                return
            }
        }
    }
}
