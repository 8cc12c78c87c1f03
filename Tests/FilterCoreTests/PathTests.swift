import FilterCore
import Testing
import VolumeModel

/// A path that fails and comes back, step by step.
@Suite struct PathTests {
    private static let second: UInt64 = 1_000_000_000
    private var path = PathCore()

    private mutating func fail(
        _ operation: PathOperation, _ error: ErrorCode?, at seconds: UInt64 = 0
    ) -> (PathVerdict, [PathAction]) {
        var actions: [PathAction] = []
        let verdict = path.failed(
            operation, error, nowNanoseconds: seconds * Self.second, actions: &actions)
        return (verdict, actions)
    }

    private mutating func event(_ event: PathEvent, at seconds: UInt64) -> [PathAction] {
        path.handle(event, nowNanoseconds: seconds * Self.second)
    }

    @Test mutating func readIsRedirectedAtOnceAndThePathComesBack() {
        let (verdict, actions) = fail(.read, .inputOutput)
        #expect(verdict == .redirect)
        #expect(actions == [.stopDirect])
        #expect(!path.isDirect)
        #expect(path.reasons == [.noDiskConnectivity])
        #expect(event(.tick(inFlight: 1), at: 0) == [])
        #expect(event(.tick(inFlight: 1), at: 1) == [.probe])
        #expect(event(.tick(inFlight: 1), at: 2) == [], "one probe at a time")
        #expect(event(.probed(.fails), at: 2) == [])
        #expect(event(.tick(inFlight: 1), at: 3) == [.probe])
        #expect(event(.probed(.reads), at: 3) == [])
        #expect(event(.tick(inFlight: 1), at: 4) == [], "I/O of the lost path is in flight")
        #expect(event(.tick(inFlight: 0), at: 4) == [.restore])
        #expect(event(.restored(true), at: 4) == [.open])
        #expect(event(.opened(true), at: 4) == [.startDirect])
        #expect(path.isDirect && path.reasons.isEmpty)
    }

    /// Rule failed-before-redirect, and its control.
    @Test(arguments: [true, false]) mutating func writeWaitsForProof(_ holds: Bool) {
        path = PathCore(rules: holds ? .all : .all.subtracting(.failedBeforeRedirect))
        let (verdict, _) = fail(.write, .inputOutput)
        #expect(verdict == (holds ? .wait : .redirect))
        guard holds else { return }
        #expect(path.waitingFor != nil)
        #expect(event(.tick(inFlight: 0), at: 0) == [.fence])
        #expect(event(.tick(inFlight: 0), at: 1) == [], "asked once")
        #expect(event(.fenced(isProven: false), at: 1) == [])
        #expect(event(.tick(inFlight: 0), at: 1) == [])
        #expect(event(.tick(inFlight: 0), at: 2) == [.fence])
        let (second, _) = fail(.write, .inputOutput, at: 2)
        #expect(second == .wait)
        #expect(event(.fenced(isProven: true), at: 3) == [.settle])
        #expect(path.waitingFor == nil)
        let (third, _) = fail(.write, .inputOutput, at: 3)
        #expect(third == .redirect, "the proof covers whatever was sent before")
        #expect(event(.tick(inFlight: 0), at: 3) == [.probe])
        #expect(event(.probed(.isFenced), at: 3) == [], "a path without its key answers")
        #expect(event(.tick(inFlight: 0), at: 3) == [.restore])
        #expect(event(.restored(false), at: 3) == [])
        #expect(event(.tick(inFlight: 0), at: 4) == [.probe])
    }

    @Test(arguments: [ErrorCode.remoteIO, .noData, .illegalSequence, .noSpace, nil])
    mutating func targetsOwnErrorsLeaveThePath(_ error: ErrorCode?) {
        #expect(fail(.write, error) == (.redirect, []))
        #expect(fail(.read, error) == (.redirect, []))
        #expect(fail(.flush, error) == (.fail, []))
        #expect(path.isDirect)
    }

    @Test mutating func reservationConflictHasNotLanded() {
        #expect(fail(.write, .reservationConflict) == (.redirect, [.stopDirect]))
        #expect(path.waitingFor == nil)
        #expect(event(.tick(inFlight: 0), at: 1) == [.probe])
    }

    @Test mutating func overdueWriteThatLandsNeedsNoProof() {
        var actions: [PathAction] = []
        #expect(path.overdue(.write, nowNanoseconds: 0, actions: &actions) == .wait)
        #expect(actions == [.stopDirect])
        #expect(event(.landed, at: 0) == [])
        #expect(event(.tick(inFlight: 0), at: 1) == [.probe])
    }

    /// A command that was lost while the path works again is aborted.
    @Test mutating func whatDoesNotDrainIsFenced() {
        var actions: [PathAction] = []
        #expect(path.overdue(.read, nowNanoseconds: 0, actions: &actions) == .redirect)
        _ = event(.tick(inFlight: 1), at: 1)
        _ = event(.probed(.reads), at: 1)
        #expect(event(.tick(inFlight: 1), at: 3) == [])
        #expect(event(.tick(inFlight: 1), at: 6) == [.fence])
        #expect(event(.fenced(isProven: true), at: 6) == [.settle])
        #expect(event(.tick(inFlight: 1), at: 7) == [])
        #expect(event(.tick(inFlight: 0), at: 8) == [.restore])
    }

    @Test mutating func reasonsAreKeptApart() {
        #expect(event(.redirected([.userRequest, .snapshot]), at: 0) == [.stopDirect])
        #expect(fail(.read, .inputOutput) == (.redirect, []))
        #expect(path.reasons == [.userRequest, .snapshot, .noDiskConnectivity])
        #expect(
            event(.tick(inFlight: 0), at: 2) == [], "nobody but the coordinator touches the LUN")
        #expect(event(.redirected([.snapshot]), at: 3) == [])
        #expect(event(.redirected([]), at: 4) == [])
        #expect(path.reasons == [.noDiskConnectivity])
        #expect(event(.tick(inFlight: 0), at: 4) == [.probe])
        _ = event(.probed(.reads), at: 4)
        _ = event(.tick(inFlight: 0), at: 4)
        _ = event(.restored(true), at: 4)
        #expect(event(.suspended(true), at: 4) == [])
        #expect(event(.opened(true), at: 4) == [])
        #expect(path.reasons == [.noMembership])
        #expect(event(.suspended(false), at: 5) == [.startDirect])
    }

    /// A path that fails again and again is left alone longer.
    @Test mutating func flappingPath() {
        var now: UInt64 = 0
        for delay: UInt64 in [1, 2, 4, 8, 16, 32, 32] {
            _ = fail(.read, .inputOutput, at: now)
            #expect(event(.tick(inFlight: 0), at: now + delay - 1) == [])
            now += delay
            #expect(event(.tick(inFlight: 0), at: now) == [.probe])
            _ = event(.probed(.reads), at: now)
            _ = event(.tick(inFlight: 0), at: now)
            _ = event(.restored(true), at: now)
            _ = event(.opened(true), at: now)
            #expect(path.isDirect)
        }
        _ = fail(.read, .inputOutput, at: now + 11)
        #expect(event(.tick(inFlight: 0), at: now + 12) == [.probe])
    }

    @Test mutating func pathThatIsReportedGone() {
        #expect(event(.reportedLost, at: 0) == [.stopDirect])
        #expect(event(.reportedLost, at: 0) == [])
        #expect(path.reasons == [.noDiskConnectivity])
        #expect(event(.tick(inFlight: 0), at: 1) == [.probe])
    }
}
