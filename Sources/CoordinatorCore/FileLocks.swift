import VolumeModel
import VolumeProtocol

/// Whose lock: locks of one owner never exclude each other. Owner numbers are their node's own.
struct LockOwner: Hashable, Sendable {
    var session: NodeIdentity
    var number: UInt64
    var kind: LockKind
}

/// A run of bytes that an owner holds.
struct HeldRange: Hashable, Sendable {
    var startBytes: UInt64
    /// Inclusive.
    var lastBytes: UInt64
    /// Never `unlock`.
    var type: LockType
    /// The open through which it was locked: ranges of different opens are not joined, because the
    /// release of one open gives up only its own.
    var open: OpenID

    /// This range and `next` as one, where they touch and are alike.
    func joined(with next: HeldRange) -> HeldRange? {
        guard lastBytes + 1 == next.startBytes, type == next.type, open == next.open else {
            return nil
        }
        var whole = self
        whole.lastBytes = next.lastBytes
        return whole
    }
}

/// What one owner holds of one file.
struct OwnerLocks: Sendable {
    let owner: LockOwner
    /// That of the last request that locked.
    var processID: UInt32
    /// In order, disjoint, no neighbours that could be joined.
    var ranges: [HeldRange] = []

    /// The replacement of some ranges by others.
    struct Change {
        var bounds: Range<Int>
        var ranges: [HeldRange]

        /// How many ranges more there will be.
        var growth: Int { ranges.count - bounds.count }
    }

    /// What locking does to the ranges: fcntl_locking(2)'s splitting, joining and conversion.
    func change(for request: LockRequest) -> Change {
        let start = request.startBytes
        let last = request.lastBytes
        // The neighbours that only touch are taken in, to be joined.
        let lower = partition { $0.lastBytes + 1 < start }
        let upper = max(lower, partition { $0.startBytes <= last + 1 })
        var pieces: [HeldRange] = []
        func append(_ piece: HeldRange) {
            if let joined = pieces.last?.joined(with: piece) {
                pieces[pieces.count - 1] = joined
            } else {
                pieces.append(piece)
            }
        }
        for var left in ranges[lower..<upper] where left.startBytes < start {
            left.lastBytes = min(left.lastBytes, start - 1)
            append(left)
        }
        if request.type != .unlock {
            append(
                HeldRange(
                    startBytes: start, lastBytes: last, type: request.type, open: request.open))
        }
        for var right in ranges[lower..<upper] where right.lastBytes > last {
            right.startBytes = max(right.startBytes, last + 1)
            append(right)
        }
        return Change(bounds: lower..<upper, ranges: pieces)
    }

    /// The first range that excludes the request, were it another owner's.
    func firstConflict(with request: LockRequest) -> Int? {
        var index = partition { $0.lastBytes < request.startBytes }
        while index < ranges.count, ranges[index].startBytes <= request.lastBytes {
            if ranges[index].type == .write || request.type == .write { return index }
            index += 1
        }
        return nil
    }

    /// How many ranges, from the first on, satisfy `isBefore`, which must be true of a prefix.
    private func partition(_ isBefore: (HeldRange) -> Bool) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(ranges[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The locks of one file.
struct FileLocks: Sendable {
    /// Those that hold something, the longest holder first: an order that does not depend on hashes,
    /// so that a simulation repeats itself.
    var owners: [OwnerLocks] = []
    /// The tokens of the waiting requests, the longest waiting first.
    var waiting: [UInt64] = []

    var isEmpty: Bool { owners.isEmpty && waiting.isEmpty }

    /// The other owners that hold what the request excludes.
    func blockers(of request: LockRequest, owner: LockOwner) -> some Sequence<OwnerLocks> {
        owners.lazy.filter {
            $0.owner != owner && $0.owner.kind == owner.kind
                && $0.firstConflict(with: request) != nil
        }
    }

    func isBlocked(_ request: LockRequest, owner: LockOwner) -> Bool {
        blockers(of: request, owner: owner).contains { _ in true }
    }
}
