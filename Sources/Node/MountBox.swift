import CoordinatorService
import Locking
import VolumeModel
import VolumeMount

/// A volume's mount and coordinator on this node, for threads outside the actor that makes them.
final class MountBox: Sendable {
    private struct State {
        var mount: VolumeMount?
        var coordinator: Coordinator?
        var epoch: Epoch?
        var hasEnded = false
        var coordinatorInUse: (node: String, epoch: Epoch)?
    }

    private let state = Lock(State())

    var mount: VolumeMount? { state.withLock { $0.mount } }
    var coordinator: Coordinator? { state.withLock { $0.coordinator } }
    var coordinatorWithEpoch: (Coordinator, Epoch)? {
        state.withLock { state in
            guard let coordinator = state.coordinator, let epoch = state.epoch else { return nil }
            return (coordinator, epoch)
        }
    }
    var isServing: Bool { state.withLock { $0.mount != nil && !$0.hasEnded } }

    func begin(_ mount: VolumeMount) {
        state.withLock { state in
            state.mount = mount
            state.hasEnded = false
        }
    }

    func setCoordinator(_ coordinator: Coordinator?, _ epoch: Epoch?) {
        state.withLock { state in
            state.coordinator = coordinator
            state.epoch = epoch
        }
    }

    /// Whose recalls count.
    var coordinatorInUse: (node: String, epoch: Epoch)? { state.withLock { $0.coordinatorInUse } }

    func setCoordinatorInUse(_ node: String, _ epoch: Epoch) {
        state.withLock { $0.coordinatorInUse = (node, epoch) }
    }

    /// The mount's connection is over.
    func end() { state.withLock { $0.hasEnded = true } }

    func clear() { state.withLock { $0.mount = nil } }

    /// False: it has not ended in that time.
    func waitForEnd(seconds: Int) async -> Bool {
        for _ in 0..<(seconds * 20) {
            if state.withLock({ $0.hasEnded }) { return true }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return state.withLock { $0.hasEnded }
    }
}
