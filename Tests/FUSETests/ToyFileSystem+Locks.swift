import FUSE
import VolumeModel

extension ToyFileSystem {
    static func lockAnswer(
        _ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort, state: inout State
    ) -> () -> Void {
        let node = context.nodeID
        switch request {
        case .getlk(let lock):
            let other = state.files[node]!.locks.first { conflicts($0, lock) }
            return { reply.lock(other) }
        case .setlk(let lock), .setlkw(let lock):
            if lock.type == .unlock {
                state.files[node]!.locks.removeAll {
                    $0.owner == lock.owner && $0.start >= lock.start && $0.end <= lock.end
                }
                var granted: [FUSEReplyPort] = []
                for (unique, waiting) in state.waitingLocks
                where !state.files[waiting.node]!.locks.contains(where: {
                    conflicts($0, waiting.lock)
                }) {
                    state.files[waiting.node]!.locks.append(waiting.lock)
                    state.waitingLocks[unique] = nil
                    granted.append(waiting.port)
                }
                return {
                    reply.ok()
                    for port in granted { port.ok() }
                }
            }
            guard state.files[node]!.locks.contains(where: { conflicts($0, lock) }) else {
                state.files[node]!.locks.append(lock)
                return { reply.ok() }
            }
            if case .setlk = request { return { reply.error(.tryAgain) } }
            state.waitingLocks[context.unique] = (node, lock, reply)
            return {}
        case .interrupt(let unique):
            guard let waiting = state.waitingLocks.removeValue(forKey: unique) else {
                return { reply.none() }
            }
            return {
                waiting.port.error(.interrupted)
                reply.none()
            }
        default: return { reply.error(.notImplemented) }
        }
    }

    private static func conflicts(_ left: FUSELock, _ right: FUSELock) -> Bool {
        left.owner != right.owner && (left.type == .write || right.type == .write)
            && left.start <= right.end && right.start <= left.end
    }
}
