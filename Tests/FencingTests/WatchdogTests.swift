import Synchronization
import Testing

@testable import Fencing

/// What was done to a watchdog, instead of a machine's reset.
private final class FakeDevice: WatchdogDevice {
    let identity = "fake"
    let hasMagicClose: Bool
    private let takesSeconds: Int?
    let calls = Mutex<[String]>([])
    let isBroken = Mutex(false)

    init(takesSeconds: Int? = nil, hasMagicClose: Bool = true) {
        self.takesSeconds = takesSeconds
        self.hasMagicClose = hasMagicClose
    }

    func setTimeout(seconds: Int) throws(FenceError) -> Int {
        calls.withLock { $0.append("timeout \(seconds)") }
        return takesSeconds ?? seconds
    }

    func keepAlive() throws(FenceError) {
        if isBroken.withLock({ $0 }) { throw .transport("broken") }
        calls.withLock { $0.append("alive") }
    }

    func stop() throws(FenceError) { calls.withLock { $0.append("stop") } }
}

/// A clock that a test moves; sleeping moves it too.
private final class ManualClock: FenceClock {
    let now = Mutex(1000.0)
    /// Called at each sleep.
    let onSleep: @Sendable () throws -> Void

    init(onSleep: @escaping @Sendable () throws -> Void = {}) { self.onSleep = onSleep }

    var nowSeconds: Double { now.withLock { $0 } }

    func sleep(seconds: Double) async throws {
        try onSleep()
        // Timers come early on some clocks; the wait must look again.
        now.withLock { $0 += max(seconds * 0.75, 0.001) }
    }
}

@Suite struct WatchdogTests {
    @Test func fedUntilItExpires() throws {
        let device = FakeDevice()
        let watchdog = try Watchdog(device, timeoutSeconds: 10)
        #expect(watchdog.timeoutSeconds == 10)
        #expect(try watchdog.keepAlive())
        watchdog.expire()
        #expect(try !watchdog.keepAlive())
        // The self-fence cannot be taken back, by a planned end either.
        try watchdog.stop()
        #expect(device.calls.withLock { $0 } == ["timeout 10", "alive", "alive"])
    }

    @Test func plannedEndStopsIt() throws {
        let device = FakeDevice()
        let watchdog = try Watchdog(device, timeoutSeconds: 10)
        try watchdog.stop()
        #expect(try !watchdog.keepAlive())
        #expect(device.calls.withLock { $0.last } == "stop")
    }

    @Test func longerTimeThanAskedForIsRefused() {
        let device = FakeDevice(takesSeconds: 60)
        #expect(throws: FenceError.self) { try Watchdog(device, timeoutSeconds: 10) }
        #expect(device.calls.withLock { $0 } == ["timeout 10", "stop"])
    }

    @Test func shorterTimeIsTold() throws {
        #expect(try Watchdog(FakeDevice(takesSeconds: 8), timeoutSeconds: 10).timeoutSeconds == 8)
    }

    @Test func withoutMagicCloseItCannotBeStopped() throws {
        let device = FakeDevice(hasMagicClose: false)
        let watchdog = try Watchdog(device, timeoutSeconds: 10)
        #expect(throws: FenceError.self) { try watchdog.stop() }
        #expect(device.calls.withLock { !$0.contains("stop") })
    }

    @Test func failuresAreTold() throws {
        let device = FakeDevice()
        let watchdog = try Watchdog(device, timeoutSeconds: 10)
        device.isBroken.withLock { $0 = true }
        #expect(throws: FenceError.transport("broken")) { try watchdog.keepAlive() }
    }

    @Test func missingDevice() {
        let error = #expect(throws: FenceError.self) {
            try LinuxWatchdogDevice(path: "/dev/covol-no-watchdog")
        }
        guard case .unsupported? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func deviceThatIsNoWatchdog() {
        #expect(throws: FenceError.self) { try LinuxWatchdogDevice(path: "/dev/null") }
    }
}

@Suite struct WatchdogFenceTests {
    @Test func provenOnlyAfterTheWholeWait() async {
        let clock = ManualClock()
        let fence = WatchdogFence(waitSeconds: 30, clock: clock)
        let outcome = await fence.fence(node: "node2") { 995 }
        #expect(outcome.isProven, "\(outcome)")
        #expect(clock.nowSeconds >= 1025)
    }

    @Test func longSilenceNeedsNoWait() async {
        let clock = ManualClock()
        let outcome = await WatchdogFence(waitSeconds: 30, clock: clock)
            .fence(node: "node2") { 900 }
        #expect(outcome.isProven)
        #expect(clock.nowSeconds == 1000)
    }

    @Test func signOfLifeEndsIt() async {
        let heard = Mutex(995.0)
        let clock = ManualClock { heard.withLock { $0 = 1010 } }
        let outcome = await WatchdogFence(waitSeconds: 30, clock: clock)
            .fence(node: "node2") { heard.withLock { $0 } }
        #expect(!outcome.isProven)
        #expect(outcome.text.contains("sign of life"))
    }

    @Test func cancelledWaitProvesNothing() async {
        let clock = ManualClock { throw CancellationError() }
        let outcome = await WatchdogFence(waitSeconds: 30, clock: clock)
            .fence(node: "node2") { 995 }
        #expect(!outcome.isProven)
    }

    @Test func waitCoversEverything() {
        let wait = WatchdogFence.fullWaitSeconds(
            leaseSeconds: 10, watchdogTimeoutSeconds: 10, queueSeconds: 30)
        #expect(abs(wait - 55) < 0.001)
    }
}

@Suite struct FenceLadderTests {
    @Test func firstProofEndsIt() async {
        let asked = Mutex<[String]>([])
        func rung(_ kind: FenceKind, _ outcome: FenceOutcome) -> FenceLadder.Rung {
            FenceLadder.Rung(kind) {
                asked.withLock { $0.append(kind.rawValue) }
                return outcome
            }
        }
        let proven = await FenceLadder.climb([
            rung(.reservations, .notProven("no path")), rung(.agent, .proven("off")),
            rung(.watchdog, .proven("silent")),
        ])
        #expect(proven.kind == .agent && proven.outcome == .proven("off"))
        #expect(asked.withLock { $0 } == ["reservations", "agent"])

        let none = await FenceLadder.climb([
            rung(.reservations, .notProven("no path")), rung(.agent, .notProven("no power")),
        ])
        #expect(none.outcome == .notProven("reservations: no path; agent: no power"))
        #expect(await FenceLadder.climb([]).outcome == .notProven("this volume has no fence"))
    }

    @Test func whoIsFencedTurnsNobodyOff() async {
        let result = await FenceLadder.climb([
            .init(.reservations) { .selfFenced("preempted") }, .init(.agent) { .proven("off") },
        ])
        #expect(result.outcome == .selfFenced("preempted"))
    }
}
