/// Who holds a record lock: a node's processes together (POSIX), or one open file (OFD).
enum LockHolder: Hashable {
    case node(Int)
    case open(Int)
}

/// The locks of one file, as fcntl_locking(2) and flock(2) describe them.
struct ModelLocks {
    struct Range: Equatable {
        var holder: LockHolder
        var isWrite: Bool
        var start: Int
        /// The last byte.
        var last: Int
    }

    private(set) var ranges: [Range] = []
    /// By open file: whether the flock is exclusive.
    private(set) var flocks: [Int: Bool] = [:]

    func conflicts(_ wanted: Range) -> Bool {
        ranges.contains { held in
            held.holder != wanted.holder && held.start <= wanted.last && wanted.start <= held.last
                && (held.isWrite || wanted.isWrite)
        }
    }

    /// False where another one's lock stands in the way.
    mutating func lock(_ wanted: Range) -> Bool {
        guard !conflicts(wanted) else { return false }
        unlock(wanted.holder, wanted.start, wanted.last)
        ranges.append(wanted)
        return true
    }

    mutating func unlock(_ holder: LockHolder, _ start: Int, _ last: Int) {
        ranges = ranges.flatMap { held -> [Range] in
            guard held.holder == holder, held.start <= last, start <= held.last else {
                return [held]
            }
            var rest: [Range] = []
            if held.start < start {
                var before = held
                before.last = start - 1
                rest.append(before)
            }
            if held.last > last {
                var after = held
                after.start = last + 1
                rest.append(after)
            }
            return rest
        }
    }

    mutating func flock(_ open: Int, exclusive: Bool) -> Bool {
        // A conversion gives the old lock up first (flock(2), NOTES).
        if flocks[open] == exclusive { return true }
        flocks[open] = nil
        let isFree = exclusive ? flocks.isEmpty : !flocks.values.contains(true)
        if isFree { flocks[open] = exclusive }
        return isFree
    }

    mutating func unflock(_ open: Int) { flocks[open] = nil }

    /// An open file is closed on a node: its own locks go, and the node's POSIX locks.
    mutating func close(_ open: Int, node: Int) {
        ranges.removeAll { $0.holder == .open(open) || $0.holder == .node(node) }
        flocks[open] = nil
    }
}
