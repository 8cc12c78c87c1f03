/// What was written to one cell, and when: enough to tell whether a read may have found a value.
///
/// A read may return what a write wrote that had started by the read's end, unless another write came
/// wholly after it and was over before the read began.
struct CellHistory {
    struct Write {
        var number: UInt64
        /// Nil: whatever a copy brought.
        var value: Cell?
        var start: UInt64
        /// `UInt64.max` while it is not acknowledged, and for ever if its node was lost.
        var end: UInt64
        /// The life of the node whose loss may take it back; nil: none.
        var volatileOwner: UInt64?
    }

    private(set) var writes: [Write] = [
        Write(number: 0, value: 0, start: 0, end: 0, volatileOwner: nil)
    ]

    mutating func begin(_ number: UInt64, _ value: Cell?, at time: UInt64) {
        writes.append(
            Write(number: number, value: value, start: time, end: .max, volatileOwner: nil))
    }

    /// A write is acknowledged; what it replaces is forgotten once no read that began before may
    /// still return it.
    mutating func end(
        _ number: UInt64, at time: UInt64, volatileOwner: UInt64?, oldestRead: UInt64
    ) {
        guard let index = writes.firstIndex(where: { $0.number == number }) else { return }
        writes[index].end = time
        writes[index].volatileOwner = volatileOwner
        guard writes.count > 6 else { return }
        let firm = writes.filter {
            $0.end < oldestRead && $0.volatileOwner == nil
        }.map(\.start).max()
        if let firm { writes.removeAll { $0.end < firm } }
    }

    mutating func withdraw(_ number: UInt64) { writes.removeAll { $0.number == number } }

    mutating func settle(_ owner: UInt64) {
        for index in writes.indices where writes[index].volatileOwner == owner {
            writes[index].volatileOwner = nil
        }
    }

    /// What a node wrote beyond the end that others see may or may not be there.
    mutating func lose(_ owner: UInt64) {
        for index in writes.indices where writes[index].volatileOwner == owner {
            writes[index].end = .max
            writes[index].volatileOwner = nil
        }
    }

    func allows(_ value: Cell, from start: UInt64, to end: UInt64) -> Bool {
        let newest = writes.filter { $0.end < start }.map(\.start).max() ?? 0
        return writes.contains {
            ($0.value == value || $0.value == nil) && $0.start <= end && $0.end >= newest
        }
    }
}
