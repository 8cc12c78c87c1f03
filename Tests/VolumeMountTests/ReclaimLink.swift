import NIOCore
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A link to the new coordinator alone, which lets reclaims pass while all else waits.
final class ReclaimLink: CoordinatorLink {
    let coordinator: FakeCoordinator
    let fails: Bool

    init(_ coordinator: FakeCoordinator, fails: Bool = false) {
        self.coordinator = coordinator
        self.fails = fails
    }

    func call(
        _ operation: VolumeProtocol.Operation, payload: ByteBuffer?,
        sent: (@Sendable (UInt64) -> Void)?
    ) async -> LinkAnswer {
        fails
            ? LinkAnswer(.failed(.notConnected)) : coordinator.answer(operation, payload)
    }
}
