import Locking
import VolumeModel

/// Tells a LUN that hangs from work that takes long. Where a step on the file system has been under
/// way for long, a block of the LUN is read, past every cache and on a thread of its own. If that
/// does not come back either, or fails, the path is taken for lost.
final class HangMonitor: Sendable {
    struct Limits: Sendable {
        /// A step that takes longer is looked into.
        var stepSeconds = 3.0
        /// A read that takes longer never comes.
        var readSeconds = 3.0
        var lookSeconds = 1.0
    }

    private struct State {
        var steps: [UInt64: ContinuousClock.Instant] = [:]
        var lastStep: UInt64 = 0
        var readBegan: ContinuousClock.Instant?
        var isStopping = false
        var hasLost = false
    }

    private let state = Lock(State())
    private let wakeUp = Semaphore()
    private let limits: Limits
    private let read: @Sendable () throws(ErrorCode) -> Void

    /// `read` blocks.
    init(limits: Limits = Limits(), read: @escaping @Sendable () throws(ErrorCode) -> Void) {
        self.limits = limits
        self.read = read
    }

    /// Begins to watch; `onLost` is called at most once, on a thread of the monitor's.
    func start(onLost: @escaping @Sendable (ErrorCode) -> Void) {
        ServiceThread.start("covol-hang") { [self] in watch(onLost) }
    }

    /// Runs a step that reads or writes the LUN.
    func step<Result>(_ body: () -> Result) -> Result {
        let number = state.withLock { state in
            state.lastStep += 1
            state.steps[state.lastStep] = .now
            return state.lastStep
        }
        defer { state.withLock { _ = $0.steps.removeValue(forKey: number) } }
        return body()
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        wakeUp.signal()
    }

    private func watch(_ onLost: @escaping @Sendable (ErrorCode) -> Void) {
        while true {
            _ = wakeUp.wait(until: ServiceDeadline(seconds: limits.lookSeconds))
            enum Next { case wait, read, lost, stop }
            let next: Next = state.withLock { state in
                if state.isStopping { return .stop }
                if let began = state.readBegan {
                    return began.duration(to: .now) > .seconds(limits.readSeconds) ? .lost : .wait
                }
                guard let oldest = state.steps.values.min(),
                    oldest.duration(to: .now) > .seconds(limits.stepSeconds)
                else { return .wait }
                state.readBegan = .now
                return .read
            }
            switch next {
            case .wait: break
            case .read: ServiceThread.start("covol-probe") { [self] in probe(onLost) }
            case .lost:
                lose(.timedOut, onLost)
                return
            case .stop: return
            }
        }
    }

    private func probe(_ onLost: @Sendable (ErrorCode) -> Void) {
        do throws(ErrorCode) {
            try read()
            state.withLock { $0.readBegan = nil }
        } catch {
            lose(error, onLost)
        }
    }

    private func lose(_ error: ErrorCode, _ onLost: @Sendable (ErrorCode) -> Void) {
        let isFirst = state.withLock { state in
            defer { state.hasLost = true }
            return !state.hasLost && !state.isStopping
        }
        if isFirst { onLost(error) }
    }
}
