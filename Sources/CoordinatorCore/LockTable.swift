import VolumeModel
import VolumeProtocol

/// The locks of one volume, of all nodes: POSIX and OFD record locks (fcntl_locking(2)) and
/// flock(2), which do not see each other. Pure: the coordinator answers waiting requests when their
/// tokens come back.
///
/// **Who waits.** A lock that conflicts with a held one waits, or is refused. A request that waits
/// for its lock also queues behind earlier waiting requests that it conflicts with, so that a stream
/// of readers does not starve a writer. Linux does not do that, and programs rely on it: a process
/// that holds a read lock may start another that takes one, and wait for it. So a request overtakes
/// where, on its arrival, its process holds any lock of the volume or its node any lock of the file:
/// then queueing could make a deadlock of something that is none on a local file system. Requests
/// that do not wait never see the queue.
///
/// **Deadlocks** are searched for among record locks, by owner, over all files, through held locks
/// only (a request in the queue that is not blocked by a held lock holds nothing itself). An OFD
/// lock cannot be told from a POSIX lock here and takes part, unlike in Linux.
public struct LockTable: Sendable {
    /// A waiting request.
    struct Waiter: Sendable {
        var request: LockRequest
        var owner: LockOwner
        /// Does not queue behind requests that wait themselves.
        var overtakes: Bool
    }

    /// A process, as far as a node tells it.
    struct Process: Hashable, Sendable {
        var session: NodeIdentity
        var processID: UInt32
    }

    var files: [FileHandle: FileLocks] = [:]
    var waiters: [UInt64: Waiter] = [:]
    /// Tokens of waiting record locks by owner, for the search for deadlocks.
    var waitsOfOwner: [LockOwner: [UInt64]] = [:]
    /// How many owners' entries of how many files each process locked last.
    var holdings: [Process: Int] = [:]
    /// How many ranges are held, of all owners and files.
    public internal(set) var rangeCount = 0
    let locksMaximum: Int

    /// - Parameter locksMaximum: the most ranges held; a waiting request counts as two, because its
    ///   grant may split another range.
    public init(locksMaximum: Int = Limits.locksMaximum) { self.locksMaximum = locksMaximum }

    public var waiterCount: Int { waiters.count }

    /// True where anybody holds or waits for a lock of the file.
    public func isLocked(_ file: FileHandle) -> Bool { files[file] != nil }

    /// The first lock, by offset, that stands in the way of `request`; nil where it would be granted.
    public func test(_ request: LockRequest, session: NodeIdentity) -> LockConflict? {
        guard request.type != .unlock else { return nil }
        let request = request.normalized
        let owner = LockOwner(session: session, number: request.owner, kind: request.kind)
        var first: LockConflict?
        for blocker in files[request.file]?.owners ?? []
        where blocker.owner != owner && blocker.owner.kind == owner.kind {
            guard let index = blocker.firstConflict(with: request) else { continue }
            let conflict = blocker.conflict(at: index, seenBy: session)
            if first.map({ conflict.startBytes < $0.startBytes }) ?? true { first = conflict }
        }
        return first
    }

    /// Every range that a session holds, as requests that would lock it again, in order of the
    /// files' handles and of offsets.
    public func locks(of session: NodeIdentity) -> [LockRequest] {
        var found: [LockRequest] = []
        let handles = files.filter { $0.value.owners.contains { $0.owner.session == session } }
            .keys.sorted { $0.precedes($1) }
        for file in handles {
            for locks in files[file]?.owners ?? [] where locks.owner.session == session {
                for range in locks.ranges {
                    found.append(
                        LockRequest(
                            file: file, open: range.open, owner: locks.owner.number,
                            kind: locks.owner.kind, type: range.type,
                            startBytes: range.startBytes, lastBytes: range.lastBytes,
                            processID: locks.processID, waits: false))
                }
            }
        }
        return found
    }
}

extension OwnerLocks {
    /// The run around a range as `F_GETLK` shows it: ranges of different opens look like one.
    fileprivate func conflict(at index: Int, seenBy session: NodeIdentity) -> LockConflict {
        var first = index
        while first > 0, ranges[first - 1].type == ranges[index].type,
            ranges[first - 1].lastBytes + 1 == ranges[first].startBytes
        {
            first -= 1
        }
        var last = index
        while last + 1 < ranges.count, ranges[last + 1].type == ranges[index].type,
            ranges[last].lastBytes + 1 == ranges[last + 1].startBytes
        {
            last += 1
        }
        return LockConflict(
            type: ranges[index].type, startBytes: ranges[first].startBytes,
            lastBytes: ranges[last].lastBytes,
            processID: owner.session == session ? processID : 0)
    }
}

extension LockRequest {
    /// A flock is one lock of the whole file.
    var normalized: LockRequest {
        var request = self
        if kind == .flock {
            request.startBytes = 0
            request.lastBytes = UInt64(Int64.max)
        }
        precondition(
            request.startBytes <= request.lastBytes && request.lastBytes <= UInt64(Int64.max),
            "a lock's range is empty or beyond any file's end")
        return request
    }
}

extension FileHandle {
    fileprivate func precedes(_ other: FileHandle) -> Bool {
        kind == other.kind
            ? bytes.lexicographicallyPrecedes(other.bytes) : kind < other.kind
    }
}
