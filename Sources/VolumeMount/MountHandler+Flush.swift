import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

/// A flush of this node's path that is under way.
struct FlushWait: Sendable {
    enum Outcome: Sendable {
        case ended(ErrorCode?)
        /// The path does not do it: the coordinator does.
        case redirected
    }

    var continuation: CheckedContinuation<Outcome, Never>
    var startTick: UInt32
}

extension MountHandler {
    /// fsync(2): what was acknowledged is in the journal or on the LUN; this path's cache is flushed.
    func synchronize(_ handle: FileHandle, _ openHandle: UInt64, _ reply: FUSEReplyPort) async {
        let file = FileIndex(handle: openHandle)
        if state.withLock({ $0.filter.isLost(file) }) {
            reply.error(.inputOutput)
            return
        }
        // A file's end is the coordinator's. Its times are too, but nobody waits for them: where there is
        // no coordinator, what is mapped goes on.
        var error: ErrorCode?
        if state.withLock({ $0.filter.mustReport(file) }) {
            error = await report(file)
        } else {
            reportTimes(handle)
        }
        if error == nil { error = await flush(handle) }
        if let error { reply.error(error) } else { reply.ok() }
    }

    /// Tells when a file was written, one message at a time.
    private func reportTimes(_ handle: FileHandle) {
        state.withLock { state in
            guard state.filter.hasUnreportedWrites(handle), state.timesUnderWay[handle] == nil
            else { return }
            state.timesUnderWay[handle] = Task {
                await self.reportWrites(handle)
                self.state.withLock { $0.timesUnderWay[handle] = nil }
            }
        }
    }

    /// Makes durable what the LUN has acknowledged. Whoever flushes it flushes all of it: where this
    /// node's path fails, hangs or may not be used, the coordinator does.
    private func flush(_ handle: FileHandle) async -> ErrorCode? {
        if case .ended(let error) = await flushPath() {
            guard let error else { return nil }
            var actions: [PathAction] = []
            let verdict = state.withLock { state in
                let verdict = state.path.failed(
                    .flush, error, nowNanoseconds: MonotonicClock.nowNanoseconds,
                    actions: &actions)
                state.followPath()
                return verdict
            }
            perform(actions)
            if verdict == .fail { return error }
        }
        if case .failed(let error) = await ask(.synchronize(handle)).result { return error }
        return nil
    }

    private func flushPath() async -> FlushWait.Outcome {
        await withCheckedContinuation { continuation in
            let started: (path: LUNPath, number: UInt64)? = state.withLock { state in
                guard state.filter.isDirect, !state.hasLeaseEnded, let path = state.lun else {
                    return nil
                }
                state.lastFlush += 1
                state.flushes[state.lastFlush] = FlushWait(
                    continuation: continuation, startTick: state.tick)
                return (path, state.lastFlush)
            }
            guard let started else { return continuation.resume(returning: .redirected) }
            started.path.flusher.flush { error in
                self.flushed(started.number, error)
                // Its descriptor stays open until here.
                withExtendedLifetime(started.path) {}
            }
        }
    }

    private func flushed(_ number: UInt64, _ error: ErrorCode?) {
        // None: the watch has given it to the coordinator.
        let wait = state.withLock { $0.flushes.removeValue(forKey: number) }
        wait?.continuation.resume(returning: .ended(error))
    }
}
