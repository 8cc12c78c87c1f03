import VolumeModel
import VolumeProtocol

extension LockTable {
    /// Grants what nothing stands in the way of any more, the longest waiting first.
    mutating func grantWaiting(of file: FileHandle) -> [UInt64] {
        var granted: [UInt64] = []
        var isChanged = true
        // A grant may let an earlier request through: where it turned a write lock into a read lock.
        while isChanged {
            isChanged = false
            var index = 0
            while let locks = files[file], index < locks.waiting.count {
                let token = locks.waiting[index]
                guard let waiter = waiters[token],
                    !locks.isBlocked(waiter.request, owner: waiter.owner),
                    waiter.overtakes
                        || !queues(waiter.request, waiter.owner, behind: locks.waiting[..<index])
                else {
                    index += 1
                    continue
                }
                removeWaiter(token)
                let isHeld = hold(waiter.request, owner: waiter.owner)
                precondition(isHeld, "the room of a waiting lock was not kept")
                granted.append(token)
                isChanged = true
            }
        }
        return granted
    }

    mutating func removeWaiter(_ token: UInt64) {
        guard let waiter = waiters.removeValue(forKey: token) else { return }
        let file = waiter.request.file
        files[file]?.waiting.removeAll { $0 == token }
        if files[file]?.isEmpty ?? false { files[file] = nil }
        waitsOfOwner[waiter.owner]?.removeAll { $0 == token }
        if waitsOfOwner[waiter.owner]?.isEmpty ?? false { waitsOfOwner[waiter.owner] = nil }
    }

    /// Whether queueing the request could make a deadlock, see ``LockTable``.
    func mayOvertake(_ request: LockRequest, owner: LockOwner) -> Bool {
        if holdings[Process(session: owner.session, processID: request.processID)] != nil {
            return true
        }
        return files[request.file]?.owners.contains { $0.owner.session == owner.session } ?? false
    }

    /// Whether one of the waiting requests excludes this one.
    func queues(
        _ request: LockRequest, _ owner: LockOwner, behind tokens: ArraySlice<UInt64>
    ) -> Bool {
        tokens.contains { token in
            guard let waiter = waiters[token] else { return false }
            let other = waiter.request
            return waiter.owner != owner && waiter.owner.kind == owner.kind
                && (other.type == .write || request.type == .write)
                && other.startBytes <= request.lastBytes && request.startBytes <= other.lastBytes
        }
    }

    /// Whether one of those that the request would wait for waits, in the end, for its owner.
    func wouldDeadlock(_ request: LockRequest, owner: LockOwner) -> Bool {
        var seen: Set<LockOwner> = []
        var pending: [LockOwner] = []
        func follow(_ request: LockRequest, of waiting: LockOwner) {
            for blocker in files[request.file]?.owners ?? []
            where blocker.owner != waiting && blocker.owner.kind == .record
                && !seen.contains(blocker.owner)
                && blocker.firstConflict(with: request) != nil
            {
                seen.insert(blocker.owner)
                pending.append(blocker.owner)
            }
        }
        follow(request, of: owner)
        while let next = pending.popLast() {
            for token in waitsOfOwner[next] ?? [] {
                if let waiter = waiters[token] { follow(waiter.request, of: next) }
            }
            if seen.contains(owner) { return true }
        }
        return false
    }
}
