/// Byte ranges that neither overlap nor touch, in order: which parts of a file a node holds.
///
/// Look-ups are binary searches; a change shifts the ranges behind it.
public struct RangeSet: Hashable, Sendable {
    /// In order, none empty.
    public private(set) var ranges: [ByteRange] = []

    public init() {}

    public var isEmpty: Bool { ranges.isEmpty }

    /// Adds every byte of `range`.
    public mutating func insert(_ range: ByteRange) {
        guard !range.isEmpty else { return }
        let first = partition { $0.endBytes < range.startBytes }
        let end = partition { $0.startBytes <= range.endBytes }
        guard first < end else {
            ranges.insert(range, at: first)
            return
        }
        let joined = ByteRange(
            start: min(range.startBytes, ranges[first].startBytes),
            end: max(range.endBytes, ranges[end - 1].endBytes))
        ranges.replaceSubrange(first..<end, with: CollectionOfOne(joined))
    }

    /// Takes every byte of `range` out.
    public mutating func remove(_ range: ByteRange) {
        guard !range.isEmpty else { return }
        let first = partition { $0.endBytes <= range.startBytes }
        let end = partition { $0.startBytes < range.endBytes }
        guard first < end else { return }
        var kept: [ByteRange] = []
        if ranges[first].startBytes < range.startBytes {
            kept.append(ByteRange(start: ranges[first].startBytes, end: range.startBytes))
        }
        if range.endBytes < ranges[end - 1].endBytes {
            kept.append(ByteRange(start: range.endBytes, end: ranges[end - 1].endBytes))
        }
        ranges.replaceSubrange(first..<end, with: kept)
    }

    public mutating func removeAll() { ranges.removeAll() }

    public func contains(_ offset: UInt64) -> Bool {
        let index = partition { $0.endBytes <= offset }
        return index < ranges.count && ranges[index].startBytes <= offset
    }

    /// True where every byte of `range` is in the set; an empty range always is.
    public func contains(_ range: ByteRange) -> Bool {
        guard !range.isEmpty else { return true }
        let index = partition { $0.endBytes <= range.startBytes }
        return index < ranges.count && ranges[index].contains(range)
    }

    /// True where at least one byte of `range` is in the set.
    public func overlaps(_ range: ByteRange) -> Bool {
        guard !range.isEmpty else { return false }
        let index = partition { $0.endBytes <= range.startBytes }
        return index < ranges.count && ranges[index].startBytes < range.endBytes
    }

    /// How many ranges, from the first on, satisfy `isBefore`, which must be true of a prefix.
    private func partition(_ isBefore: (ByteRange) -> Bool) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(ranges[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
