import Synchronization
import VolumeMount

/// A cluster that fences and restores a path as a test says.
final class TestGuard: PathGuard, Sendable {
    struct State {
        var proves = true
        var restores = true
        var fences = 0
        var restored = 0
        var onFence: @Sendable () -> Void = {}
        var onRestore: @Sendable () -> Void = {}
    }

    let state = Mutex(State())

    func fencePath() async -> Bool {
        let (proves, act) = state.withLock { state in
            state.fences += 1
            return (state.proves, state.onFence)
        }
        if proves { act() }
        return proves
    }

    func restorePath() async -> Bool {
        let (restores, act) = state.withLock { state in
            state.restored += 1
            return (state.restores, state.onRestore)
        }
        if restores { act() }
        return restores
    }

    var fences: Int { state.withLock { $0.fences } }
}
