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
            actions.append(.reply(session, sequence: sequence, .lockConflict(conflict)))
        case .cancelLock(let waiting):
            let token = lockWaits.first {
                $0.value.session == session && $0.value.sequence == waiting
            }?.key
            if let token, let release = locks.cancel(token) { endLocks(release, &actions) }
            actions.append(.reply(session, sequence: sequence, .done))
        case .unlockOwner(let file, let owner):
            let granted = locks.releaseOwner(file: file, session: session, owner: owner)
            actions.append(.reply(session, sequence: sequence, .done))
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
            actions.append(.reply(session, sequence: sequence, .failed(.badDescriptor)))
            return
        }
        lastLockToken += 1
        let token = lastLockToken
        let (outcome, granted) = locks.lock(request, session: session, token: token)
        switch outcome {
        case .granted:
            actions.append(.reply(session, sequence: sequence, .done))
        case .waiting:
            lockWaits[token] = (session, sequence)
        case .conflict:
            actions.append(.reply(session, sequence: sequence, .failed(.tryAgain)))
        case .deadlock:
            actions.append(.reply(session, sequence: sequence, .failed(.deadlock)))
        case .tooMany:
            actions.append(.reply(session, sequence: sequence, .failed(.noLocks)))
        }
        wakeLockWaiters(granted, &actions)
    }

    mutating func wakeLockWaiters(_ tokens: [UInt64], _ actions: inout [CoordinatorAction]) {
        for token in tokens {
            guard let waiter = lockWaits.removeValue(forKey: token) else { continue }
            actions.append(.reply(waiter.session, sequence: waiter.sequence, .done))
        }
    }

    /// Answers the waits that ended without a lock, and those that got theirs.
    mutating func endLocks(_ release: LockRelease, _ actions: inout [CoordinatorAction]) {
        for token in release.endedTokens {
            guard let waiter = lockWaits.removeValue(forKey: token) else { continue }
            actions.append(
                .reply(waiter.session, sequence: waiter.sequence, .failed(.interrupted)))
        }
        wakeLockWaiters(release.grantedTokens, &actions)
    }
}
