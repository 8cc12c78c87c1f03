import Synchronization

/// The watchdog of this node: fed while the node keeps its membership, and starved when it must not
/// go on. Methods may be called from any thread.
public final class Watchdog: Sendable {
    /// How long after the last `keepAlive` the machine is reset, as the driver took it.
    public let timeoutSeconds: Int
    public let identity: String

    private enum State {
        case armed(any WatchdogDevice)
        /// Kept open and not fed any more, whatever anybody calls.
        case expiring(any WatchdogDevice)
        case stopped
    }

    private let state: Mutex<State>

    /// Starts it.
    ///
    /// - Throws: `unsupported` where the driver takes a time that is longer than `timeoutSeconds`:
    ///   the other nodes would count on a reset that comes later than they wait. The device is then
    ///   stopped again.
    public init(
        _ device: any WatchdogDevice, timeoutSeconds: Int
    ) throws(FenceError) {
        precondition(timeoutSeconds > 0, "a watchdog of \(timeoutSeconds) s")
        do throws(FenceError) {
            let taken = try device.setTimeout(seconds: timeoutSeconds)
            guard taken <= timeoutSeconds, taken > 0 else {
                throw .unsupported(
                    "the watchdog \"\(device.identity)\" takes \(taken) s, where "
                        + "\(timeoutSeconds) s were asked for")
            }
            try device.keepAlive()
            self.timeoutSeconds = taken
        } catch {
            try? device.stop()
            throw error
        }
        identity = device.identity
        state = Mutex(.armed(device))
    }

    /// Says that all is well. Call it only on a renewal of the membership that was answered, at
    /// least every third of `timeoutSeconds`.
    ///
    /// - Returns: false where it is expiring or stopped: the caller must not go on.
    public func keepAlive() throws(FenceError) -> Bool {
        try state.withLock { state throws(FenceError) in
            guard case .armed(let device) = state else { return false }
            try device.keepAlive()
            return true
        }
    }

    /// The self-fence: nothing feeds it from now on, and the machine is reset. Cannot be taken
    /// back.
    public func expire() {
        state.withLock { state in
            if case .armed(let device) = state { state = .expiring(device) }
        }
    }

    /// A planned end of the daemon: stops it. Does nothing while it is expiring.
    public func stop() throws(FenceError) {
        try state.withLock { state throws(FenceError) in
            guard case .armed(let device) = state else { return }
            guard device.hasMagicClose else {
                throw .unsupported(
                    "the watchdog \"\(device.identity)\" cannot be stopped: this machine will be "
                        + "reset unless the daemon starts again within \(timeoutSeconds) s")
            }
            try device.stop()
            state = .stopped
        }
    }
}
