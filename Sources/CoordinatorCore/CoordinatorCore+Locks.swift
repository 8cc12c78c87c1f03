import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// Locks touch no block, so they wait for nobody but each other.
    mutating func lockOperation(
        _ session: NodeIdentity, _ sequence: UInt64, _ operation: Operation,
        _ actions: inout [CoordinatorAction]
    ) {
        switch operation {
        case .lock(let request):
            lock(session, sequence, request, &actions)
        case .testLock(let request):
            let conflict = locks.test(request, session: session)
            reply(session, sequence, .lockConflict(conflict), &actions)
        case .cancelLock(let waiting):
            let token = lockWaits.first {
                $0.value.session == session && $0.value.sequence == waiting
            }?.key
            if let token, let release = locks.cancel(token) { endLocks(release, &actions) }
            reply(session, sequence, .done, &actions)
        case .unlockOwner(let file, let owner):
            let granted = locks.releaseOwner(file: file, session: session, owner: owner)
            reply(session, sequence, .done, &actions)
            wakeLockWaiters(granted, &actions)
        default:
            preconditionFailure("not a lock operation")
        }
    }

    private mutating func lock(
        _ session: NodeIdentity, _ sequence: UInt64, _ request: LockRequest,
        _ actions: inout [CoordinatorAction]
    ) {
        guard files[request.file]?.opens[session]?.contains(request.open) == true else {
            reply(session, sequence, .failed(.badDescriptor), &actions)
            return
        }
        lastLockToken += 1
        let token = lastLockToken
        let (outcome, granted) = locks.lock(request, session: session, token: token)
        switch outcome {
        case .granted:
            reply(session, sequence, .done, &actions)
        case .waiting:
            lockWaits[token] = (session, sequence)
        case .conflict:
            reply(session, sequence, .failed(.tryAgain), &actions)
        case .deadlock:
            reply(session, sequence, .failed(.deadlock), &actions)
        case .tooMany:
            reply(session, sequence, .failed(.noLocks), &actions)
        }
        wakeLockWaiters(granted, &actions)
    }

    mutating func wakeLockWaiters(_ tokens: [UInt64], _ actions: inout [CoordinatorAction]) {
        for token in tokens {
            guard let waiter = lockWaits.removeValue(forKey: token) else { continue }
            reply(waiter.session, waiter.sequence, .done, &actions)
        }
    }

    /// Answers the waits that ended without a lock, and those that got theirs.
    mutating func endLocks(_ release: LockRelease, _ actions: inout [CoordinatorAction]) {
        for token in release.endedTokens {
            guard let waiter = lockWaits.removeValue(forKey: token) else { continue }
            reply(waiter.session, waiter.sequence, .failed(.interrupted), &actions)
        }
        wakeLockWaiters(release.grantedTokens, &actions)
    }
}
