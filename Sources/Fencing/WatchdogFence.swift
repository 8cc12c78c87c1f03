/// The fence by waiting: a node whose membership lapsed stops its direct I/O and is reset by its
/// watchdog. It is proven only after the whole wait, by this node's own clock.
///
/// The weakest rung. It counts only where every queue below a node is bounded, and not on hosts
/// that a hypervisor can pause: a paused machine's watchdog is paused too.
public struct WatchdogFence: Sendable {
    /// From the last sign of life to the proof.
    public let waitSeconds: Double
    private let clock: any FenceClock

    public init(waitSeconds: Double, clock: any FenceClock = BootClock()) {
        precondition(waitSeconds > 0, "a wait of \(waitSeconds) s")
        self.waitSeconds = waitSeconds
        self.clock = clock
    }

    /// The wait that these times make necessary: the lease may have been renewed just before the
    /// last sign of life, the watchdog fed at its end, and the I/O sent just before the reset must
    /// have left every queue below. A tenth is added for clocks that drift.
    ///
    /// - Parameter queueSeconds: the longest that I/O can wait between this node and the platter
    ///   (SCSI time-outs, `no_path_retry`).
    public static func fullWaitSeconds(
        leaseSeconds: Double, watchdogTimeoutSeconds: Double, queueSeconds: Double
    ) -> Double {
        (leaseSeconds + watchdogTimeoutSeconds + queueSeconds) * 1.1
    }

    /// Waits, and looks at the end whether the node was silent all along.
    ///
    /// - Parameters:
    ///   - node: its name, for the texts.
    ///   - lastHeardSeconds: when it last gave a sign of life, by `clock`: a renewal in the store,
    ///     a message. Asked at the start and at the end.
    public func fence(
        node: String, lastHeardSeconds: @Sendable () async -> Double
    ) async -> FenceOutcome {
        let heard = await lastHeardSeconds()
        let end = heard + waitSeconds
        while clock.nowSeconds < end {
            do {
                try await clock.sleep(seconds: end - clock.nowSeconds)
            } catch {
                return .notProven("the wait for the watchdog of \(node) was broken off")
            }
        }
        guard await lastHeardSeconds() == heard else {
            return .notProven("\(node) gave a sign of life during the wait for its watchdog")
        }
        return .proven(
            "\(node) has been silent for \(Int(waitSeconds)) s, in which its watchdog has reset it")
    }
}
