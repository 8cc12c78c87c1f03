import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

extension MountHandler {
    private func request(_ handle: FileHandle, _ lock: FUSELock, waits: Bool) -> LockRequest {
        let type: LockType =
            switch lock.type {
            case .read: .read
            case .write: .write
            case .unlock: .unlock
            }
        return LockRequest(
            file: handle, open: OpenID(lock.handle >> 32), owner: lock.owner,
            kind: lock.isFlock ? .flock : .record, type: type, startBytes: lock.start,
            lastBytes: lock.end, processID: lock.pid, waits: waits)
    }

    func testLock(_ handle: FileHandle, _ lock: FUSELock, _ reply: FUSEReplyPort) async {
        switch await link.call(.testLock(request(handle, lock, waits: false))).result {
        case .lockConflict(nil):
            reply.lock(nil)
        case .lockConflict(let conflict?):
            var held = lock
            held.start = conflict.startBytes
            held.end = conflict.lastBytes
            held.type = conflict.type == .write ? .write : .read
            held.pid = conflict.processID
            reply.lock(held)
        case .failed(let error):
            reply.error(error)
        default:
            reply.error(.protocolError)
        }
    }

    func setLock(
        _ handle: FileHandle, _ lock: FUSELock, waits: Bool, _ context: FUSEContext,
        _ reply: FUSEReplyPort
    ) async {
        if !lock.isFlock { state.withLock { _ = $0.lockedFiles.insert(handle) } }
        let unique = context.unique
        let request = request(handle, lock, waits: waits)
        while true {
            let generation = coordinatorGeneration
            let answer = await link.call(.lock(request), payload: nil) { [self] sequence in
                if waits { state.withLock { $0.lockWaits[unique] = sequence } }
            }
            if waits { state.withLock { $0.lockWaits[unique] = nil } }
            if case .failed(let error) = answer.result {
                state.withLock { state in
                    state.heldLocks.refused(request)
                    state.noteLocks(of: handle)
                }
                reply.error(error)
                return
            }
            let isKnown = state.withLock { state in
                // Else the answer crossed a change of coordinator, and the new one is asked again.
                guard state.coordinatorGeneration == generation else { return false }
                state.heldLocks.granted(request)
                state.noteLocks(of: handle)
                return true
            }
            if isKnown { break }
        }
        reply.ok()
    }

    /// A signal for a process that waits for a lock. Others end by themselves.
    func interrupt(_ unique: UInt64, _ reply: FUSEReplyPort) {
        guard let sequence = state.withLock({ $0.lockWaits[unique] }) else {
            reply.none()
            return
        }
        Task {
            _ = await link.call(.cancelLock(sequence: sequence))
            reply.none()
        }
    }
}
