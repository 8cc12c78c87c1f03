import CLinux
import Glibc
import Logging
import Synchronization
import VolumeModel

/// One descriptor of /dev/fuse. What was read from it must be answered on it, so everything that may
/// still answer holds it, and it closes with the last of them: its number is never anyone else's.
final class FUSEChannel: Sendable {
    let descriptor: Int32
    let connection: FUSEConnection

    init(descriptor: Int32, connection: FUSEConnection) {
        self.descriptor = descriptor
        self.connection = connection
    }

    deinit { close(descriptor) }

    /// Answers a request; false where the kernel did not take it, because the request is gone
    /// (aborted) or the answer is malformed, in which case the caller gets EIO.
    @discardableResult
    func reply(
        unique: UInt64, error: Int32, data: UnsafeRawPointer?, lengthBytes: Int
    ) -> Bool {
        let result = covol_fuse_reply(descriptor, unique, error, data, lengthBytes)
        if result == 0 { return true }
        switch ErrorCode(-result) {
        case .noEntry, .noDevice, .notConnected: return false
        default:
            connection.logger.error(
                "the kernel refused a reply",
                metadata: ["errno": "\(-result)", "bytes": "\(lengthBytes)"])
            _ = covol_fuse_reply(descriptor, unique, -ErrorCode.inputOutput.number, nil, 0)
            return false
        }
    }
}

/// What the workers of one mount share.
final class FUSEConnection: Sendable {
    private struct State {
        var cores: [FUSEWorkerCore] = []
        var running = 0
        var reason: FUSEEndReason?
    }

    let logger: Logger
    /// How many workers have a free slot: only where none has, requests are parked.
    let workersWithRoom = Atomic(0)
    private let state = Mutex(State())

    init(logger: Logger) { self.logger = logger }

    func started(_ cores: [FUSEWorkerCore]) {
        workersWithRoom.store(cores.count, ordering: .sequentiallyConsistent)
        state.withLock {
            $0.cores = cores
            $0.running = cores.count
        }
    }

    /// How many requests of the process before nobody could read any more: who made them was told to try
    /// again.
    let triedAgain = Atomic(0)

    /// What another process needs to serve this connection: the workers' descriptors, one each, then
    /// the files of their ring memories. None once the connection is over. They are borrowed.
    func withDescriptors<Value>(_ body: ([Int32]) -> Value) -> Value {
        let cores = state.withLock { $0.cores }
        return withExtendedLifetime(cores) {
            body(cores.map(\.descriptor) + cores.compactMap { $0.ringMemory?.file })
        }
    }

    var rings: [FUSERingState] {
        state.withLock { $0.cores }.compactMap { $0.ringMemory?.state }
    }

    /// One worker is done; the reason once the last one is.
    func workerEnded(_ reason: FUSEEndReason) -> FUSEEndReason? {
        state.withLock {
            $0.running -= 1
            // The first to fail knows best: the others only see that the device is gone.
            if $0.reason == nil || $0.reason == .unmounted { $0.reason = reason }
            guard $0.running == 0 else { return nil }
            // The workers hold the connection.
            $0.cores = []
            return $0.reason
        }
    }

    /// Waits, for a moment at most, until the kernel has the answers that were given so far. On io_uring
    /// those from other threads are with the workers first.
    func settle() { _ = countRequests() }

    /// Settles, and counts what the workers have in hand then. Nil on a worker's thread, and where one
    /// takes too long.
    func countRequests() -> FUSERequestCounts? {
        let cores = state.withLock { $0.cores }
        let settling = FUSESettling(cores.count)
        for core in cores {
            if core.isOnThread { return nil }
            core.post(.settle(settling))
        }
        for _ in 0..<FUSELimits.settleMilliseconds {
            if settling.left.load(ordering: .acquiring) == 0 { return settling.counts }
            usleep(1000)
        }
        return nil
    }

    /// How many workers said a moment ago that they are loaded, and how many there are.
    func loadedWorkers(at now: UInt64) -> (loaded: Int, workers: Int) {
        state.withLock { state in
            let loaded = state.cores.count {
                // The other's clock may have ticked since.
                let said = $0.loadedMilliseconds.load(ordering: .relaxed)
                return said > 0 && said + FUSELimits.placementBeliefMilliseconds >= now
            }
            return (loaded, state.cores.count)
        }
    }

    /// Has the other workers look for requests.
    func wakeOthers(than core: FUSEWorkerCore) {
        let cores = state.withLock { $0.cores }
        for other in cores where other !== core { other.post(.lookAtDevice) }
    }

    /// Sends an INTERRUPT past the other workers: each hands out a request as soon as it has read it,
    /// so past all of them the request that is meant has been handed out, if it was read before.
    /// Nil once the connection is over.
    func next(after core: FUSEWorkerCore) -> (core: FUSEWorkerCore, workers: Int)? {
        state.withLock { state in
            guard let index = state.cores.firstIndex(where: { $0 === core }) else { return nil }
            return (state.cores[(index + 1) % state.cores.count], state.cores.count)
        }
    }

    /// Has the kernel send an INTERRUPT again. It knows the request only on the descriptor that the
    /// request was read from, which need not be the one that brought the INTERRUPT.
    func repeatInterrupt(unique: UInt64) -> Bool {
        let cores = state.withLock { $0.cores }
        return cores.contains { core in
            covol_fuse_reply(
                core.channel.descriptor, unique, -ErrorCode.tryAgain.number, nil, 0) == 0
        }
    }
}

/// What workers have in hand of the ring's requests.
struct FUSERequestCounts: Sendable, Equatable {
    var inHand = 0
    /// Of those, the ones that may wait for ever.
    var waiting = 0
    /// Entries given back so far: where it is the same twice, nothing came or went between. Wraps.
    var returned: UInt64 = 0

    static func + (first: FUSERequestCounts, second: FUSERequestCounts) -> FUSERequestCounts {
        FUSERequestCounts(
            inHand: first.inHand + second.inHand, waiting: first.waiting + second.waiting,
            returned: first.returned &+ second.returned)
    }
}

/// Counts the workers down that have yet to submit what they were given.
final class FUSESettling: Sendable {
    let left: Atomic<Int>
    private let sum = Mutex(FUSERequestCounts())

    init(_ count: Int) { left = Atomic(count) }

    /// Of all workers, once none is left.
    var counts: FUSERequestCounts { sum.withLock { $0 } }

    /// A worker has submitted.
    func settled(_ counts: FUSERequestCounts) {
        sum.withLock { $0 = $0 + counts }
        left.subtract(1, ordering: .releasing)
    }
}
