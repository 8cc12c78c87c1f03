import VolumeModel
import VolumeProtocol

extension LockTable {
    /// A close by a process: its record locks of the file end, whichever open they came through.
    /// What another thread of it waits for stays: the kernel unlocks that itself.
    /// Returns the tokens of the waiting requests that got their locks.
    public mutating func releaseOwner(
        file: FileHandle, session: NodeIdentity, owner: UInt64
    ) -> [UInt64] {
        let owner = LockOwner(session: session, number: owner, kind: .record)
        dropRanges(of: file) { locks, _ in locks.owner == owner }
        return grantWaiting(of: file)
    }

    /// The end of an open: every lock and every wait that came through it ends.
    public mutating func releaseOpen(
        file: FileHandle, session: NodeIdentity, open: OpenID
    ) -> LockRelease {
        var release = LockRelease()
        for token in files[file]?.waiting ?? [] {
            guard let waiter = waiters[token], waiter.owner.session == session,
                waiter.request.open == open
            else { continue }
            removeWaiter(token)
            release.endedTokens.append(token)
        }
        dropRanges(of: file) { locks, range in
            locks.owner.session == session && range.open == open
        }
        release.grantedTokens = grantWaiting(of: file)
        return release
    }

    /// The end of a session: every lock and every wait of it ends, and nobody is left to answer
    /// them to. Returns the tokens of others' requests that got their locks. Takes time in
    /// proportion to the volume's locks.
    public mutating func endSession(_ session: NodeIdentity) -> [UInt64] {
        var touched: Set<FileHandle> = []
        for (file, locks) in files
        where locks.owners.contains(where: { $0.owner.session == session }) {
            touched.insert(file)
        }
        for (token, waiter) in waiters where waiter.owner.session == session {
            touched.insert(waiter.request.file)
            removeWaiter(token)
        }
        var granted: [UInt64] = []
        for file in touched {
            dropRanges(of: file) { locks, _ in locks.owner.session == session }
            granted += grantWaiting(of: file)
        }
        // The order may not depend on hashes.
        return granted.sorted()
    }

    /// Gives up ranges without looking at who waits for them.
    mutating func dropRanges(
        of file: FileHandle, where isDropped: (OwnerLocks, HeldRange) -> Bool
    ) {
        guard let locks = files[file] else { return }
        var kept: [OwnerLocks] = []
        for holder in locks.owners {
            var rest = holder
            rest.ranges.removeAll { isDropped(holder, $0) }
            rangeCount -= holder.ranges.count - rest.ranges.count
            if rest.ranges.isEmpty { count(holder, by: -1) } else { kept.append(rest) }
        }
        files[file]?.owners = kept
        if files[file]?.isEmpty ?? false { files[file] = nil }
    }
}
