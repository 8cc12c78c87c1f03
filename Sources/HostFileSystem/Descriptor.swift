import CLinux
import VolumeModel

/// One open file descriptor, closed with the last reference. A user that holds it may be in a system
/// call while the cache gives it up, so it is shared and counted instead of noncopyable.
final class Descriptor: Sendable {
    private let number: Int32

    /// Takes ownership of `number`.
    init(owning number: Int32) {
        precondition(number >= 0, "not a descriptor")
        self.number = number
    }

    deinit {
        // Nothing is lost with close's result: every write was flushed, or is by `sync`.
        _ = covol_close(number)
    }

    /// Keeps the descriptor open while `body` runs.
    func use<Result>(_ body: (Int32) throws(ErrorCode) -> Result) throws(ErrorCode) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(number)
    }
}
