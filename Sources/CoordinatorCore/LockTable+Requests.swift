import VolumeModel
import VolumeProtocol

extension LockTable {
    /// Locks, converts or unlocks a range.
    ///
    /// A record lock is converted in one step: the old one is held until the new one is granted.
    /// A flock is not, as in Linux: the old one is given up first, also where the new one is then
    /// refused (flock(2), NOTES).
    ///
    /// - Parameters:
    ///   - request: traps where its range is empty or reaches beyond `Int64.max`, which decoding
    ///     refuses.
    ///   - token: the caller's name for the request if it waits; no other request that waits has it.
    /// - Returns: what became of it, and the waiting requests that it let through (by an unlock or
    ///   a downgrade), in order.
    public mutating func lock(
        _ request: LockRequest, session: NodeIdentity, token: UInt64
    ) -> (outcome: LockOutcome, grantedTokens: [UInt64]) {
        precondition(waiters[token] == nil, "a token names one waiting request")
        let request = request.normalized
        let owner = LockOwner(session: session, number: request.owner, kind: request.kind)
        var converts = false
        if owner.kind == .flock, request.type != .unlock,
            let held = files[request.file]?.owners.first(where: { $0.owner == owner })
        {
            if held.ranges[0].type == request.type { return (.granted, []) }
            dropRanges(of: request.file) { locks, _ in locks.owner == owner }
            converts = true
        }
        let outcome = admit(request, owner: owner, converts: converts, token: token)
        return (outcome, grantWaiting(of: request.file))
    }

    /// Ends the wait of a request, which gets no lock. Nil where it does not wait (any more): its
    /// lock may have been granted, and the caller has to unlock it.
    public mutating func cancel(_ token: UInt64) -> LockRelease? {
        guard let file = waiters[token]?.request.file else { return nil }
        removeWaiter(token)
        var release = LockRelease()
        release.endedTokens = [token]
        release.grantedTokens = grantWaiting(of: file)
        return release
    }

    private mutating func admit(
        _ request: LockRequest, owner: LockOwner, converts: Bool, token: UInt64
    ) -> LockOutcome {
        if request.type == .unlock { return hold(request, owner: owner) ? .granted : .tooMany }
        let overtakes = converts || !request.waits || mayOvertake(request, owner: owner)
        let isBlocked = files[request.file]?.isBlocked(request, owner: owner) ?? false
        if !isBlocked,
            overtakes || !queues(request, owner, behind: files[request.file]?.waiting[...] ?? [])
        {
            return hold(request, owner: owner) ? .granted : .tooMany
        }
        guard request.waits else { return .conflict }
        if owner.kind == .record, wouldDeadlock(request, owner: owner) { return .deadlock }
        guard rangeCount + 2 * (waiters.count + 1) <= locksMaximum else { return .tooMany }
        waiters[token] = Waiter(request: request, owner: owner, overtakes: overtakes)
        files[request.file, default: FileLocks()].waiting.append(token)
        if owner.kind == .record { waitsOfOwner[owner, default: []].append(token) }
        return .waiting
    }

    /// Changes what the owner holds. False, and nothing changed, where the table is full.
    mutating func hold(_ request: LockRequest, owner: LockOwner) -> Bool {
        let file = request.file
        let index = files[file]?.owners.firstIndex { $0.owner == owner }
        if index == nil, request.type == .unlock { return true }
        let empty = OwnerLocks(owner: owner, processID: request.processID)
        let change = (index.flatMap { files[file]?.owners[$0] } ?? empty).change(for: request)
        guard
            change.growth <= 0
                || rangeCount + change.growth + 2 * waiters.count <= locksMaximum
        else { return false }

        if index == nil {
            files[file, default: FileLocks()].owners.append(empty)
            count(empty, by: 1)
        }
        let position = index ?? (files[file]?.owners.count ?? 0) - 1
        rangeCount += change.growth
        files[file]?.owners[position].ranges.replaceSubrange(change.bounds, with: change.ranges)
        if request.type != .unlock { setProcess(request.processID, of: position, in: file) }
        removeIfEmpty(position, in: file)
        return true
    }

    /// The process that locked last is the one that `F_GETLK` shows.
    private mutating func setProcess(_ processID: UInt32, of position: Int, in file: FileHandle) {
        guard let locks = files[file]?.owners[position], locks.processID != processID else {
            return
        }
        count(locks, by: -1)
        files[file]?.owners[position].processID = processID
        count(OwnerLocks(owner: locks.owner, processID: processID), by: 1)
    }

    private mutating func removeIfEmpty(_ position: Int, in file: FileHandle) {
        guard let locks = files[file]?.owners[position], locks.ranges.isEmpty else { return }
        count(locks, by: -1)
        files[file]?.owners.remove(at: position)
        if files[file]?.isEmpty ?? false { files[file] = nil }
    }

    /// Keeps count of the owners through which a process holds locks.
    mutating func count(_ locks: OwnerLocks, by change: Int) {
        let process = Process(session: locks.owner.session, processID: locks.processID)
        let count = (holdings[process] ?? 0) + change
        holdings[process] = count == 0 ? nil : count
    }
}
