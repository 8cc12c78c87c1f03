/// What changed the LUN, in the order in which it landed: the newest ``LUNLimits/accessesMaximum``.
struct AccessLog: Sendable {
    enum Kind: String, Codable, Sendable {
        case write
        /// Zeroed or given back: fallocate(2) on the path, or a discard of a loop device over it.
        case discard
    }

    struct Entry: Hashable, Sendable {
        /// From 1, without a gap.
        var sequence: UInt64
        var path: Int32
        var kind: Kind
        /// A late write that was let go.
        var isLate: Bool
        var offsetBytes: UInt64
        var lengthBytes: UInt64
        /// CLOCK_BOOTTIME, when the path took it in and when it was on the LUN.
        var startedNanoseconds: UInt64
        var landedNanoseconds: UInt64
    }

    private var entries: [Entry] = []
    private let capacity: Int
    private(set) var lastSequence: UInt64 = 0

    init(capacity: Int = LUNLimits.accessesMaximum) {
        precondition(capacity > 0, "a log holds something")
        self.capacity = capacity
    }

    /// The oldest entry that is still there has this number, or would have.
    var firstSequence: UInt64 { lastSequence - UInt64(entries.count) + 1 }

    /// `entry` without its number.
    mutating func append(_ entry: Entry) {
        lastSequence += 1
        var entry = entry
        entry.sequence = lastSequence
        if entries.count < capacity {
            entries.append(entry)
        } else {
            entries[Int((lastSequence - 1) % UInt64(capacity))] = entry
        }
    }

    /// At most `limit` entries with numbers above `sequence`, oldest first.
    func entries(after sequence: UInt64, limit: Int) -> [Entry] {
        let start = max(firstSequence, sequence == .max ? .max : sequence + 1)
        guard start <= lastSequence else { return [] }
        let end = min(lastSequence, start + UInt64(limit - 1))
        return (start...end).map { entries[Int(($0 - 1) % UInt64(capacity))] }
    }
}
