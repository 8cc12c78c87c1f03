import Testing
import VolumeModel

@testable import LUNSimulator

/// What happens to each operation, without a mount.
@Suite struct LUNModelTests {
    typealias Model = LUNModel<Int>

    private func model() -> Model {
        Model(
            paths: ["a", "b"], sizeBytes: 1 << 20,
            target: ReservationTarget(paths: ["a", "b"]), log: AccessLog(capacity: 4))
    }

    private func begin(
        _ model: inout Model, _ kind: Model.Kind, path: Int = 0, client: Int = 0
    ) -> (verdict: Model.Verdict, operation: UInt64) {
        model.begin(
            kind, path: path, offsetBytes: 4096, lengthBytes: 512, client: client,
            nanoseconds: 10)
    }

    private func register(_ model: inout Model, path: Int, key: UInt64) {
        let answer = model.execute(
            cdb: CDB.reserveOut(6), dataOut: CDB.parameters(key: 0, service: key), path: path)
        #expect(answer.response == .good)
    }

    /// Both registered, reserved for all registrants.
    private func reserved() -> Model {
        var model = model()
        register(&model, path: 0, key: 0xa)
        register(&model, path: 1, key: 0xb)
        let answer = model.execute(
            cdb: CDB.reserveOut(1, type: 8), dataOut: CDB.parameters(key: 0xa), path: 0)
        #expect(answer.response == .good)
        return model
    }

    private func preempt(_ model: inout Model, aborts: Bool) -> Model.Effects {
        let answer = model.execute(
            cdb: CDB.reserveOut(aborts ? 5 : 4, type: 8),
            dataOut: CDB.parameters(key: 0xb, service: 0xa), path: 1)
        #expect(answer.response == .good)
        return answer.effects
    }

    @Test func whatLandsIsLogged() {
        var model = model()
        let read = begin(&model, .read)
        let write = begin(&model, .write)
        let broken = begin(&model, .write)
        #expect(read.verdict == .start && write.verdict == .start)
        model.finish(write.operation, error: nil, nanoseconds: 20)
        model.finish(read.operation, error: nil, nanoseconds: 21)
        model.finish(broken.operation, error: .noSpace, nanoseconds: 22)
        let entries = model.log.entries(after: 0, limit: 10)
        #expect(entries.map(\.sequence) == [1])
        #expect(entries[0].offsetBytes == 4096 && entries[0].landedNanoseconds == 20)
        let counters = model.paths[0].counters
        #expect(counters.reads == 1 && counters.writes == 1 && counters.failed == 1)
        #expect(counters.readBytes == 512)
    }

    @Test func faultsOfOnePathAreNotTheOthers() {
        var model = model()
        for fault in [PathFault.fail, .cut, .hang, .slow(milliseconds: 7)] {
            _ = model.apply(.set(fault), path: 0)
            let verdict = begin(&model, .write, path: 0).verdict
            switch fault {
            case .fail, .cut: #expect(verdict == .fail(.inputOutput))
            case .hang: #expect(verdict == .hold)
            case .slow: #expect(verdict == .delay(milliseconds: 7))
            case .ok: break
            }
            let other = begin(&model, .write, path: 1)
            #expect(other.verdict == .start)
            model.finish(other.operation, error: nil, nanoseconds: 1)
        }
    }

    @Test func whatHangsGoesOnInItsOrderWhenRestored() {
        var model = model()
        _ = model.apply(.set(.hang), path: 0)
        let operations = (0..<5).map { begin(&model, .write, client: $0).operation }
        #expect(model.held(path: 0).all == 5)
        let effects = model.apply(.set(.ok), path: 0)
        #expect(effects.resumed.map(\.client) == [0, 1, 2, 3, 4])
        for operation in operations { #expect(model.resume(operation) == .start) }
    }

    @Test func aDelayIsOverOnce() {
        var model = model()
        _ = model.apply(.set(.slow(milliseconds: 5)), path: 0)
        let first = begin(&model, .write).operation
        let second = begin(&model, .write).operation
        let woken = model.wake(first)
        #expect(woken && model.resume(first) == .start)
        let again = model.wake(first)
        #expect(!again)
        // A cut fails those whose time has not come; their timers find nothing.
        let effects = model.apply(.set(.cut), path: 0)
        #expect(effects.failed.count == 1 && effects.awaited == [first])
        let late = model.wake(second)
        #expect(!late)
    }

    @Test func aCutWaitsForWhatIsAtTheImageAndDropsTheRest() {
        var model = model()
        let started = begin(&model, .write).operation
        _ = model.apply(.set(.hang), path: 0)
        let resumed = begin(&model, .write, client: 1).operation
        _ = model.apply(.set(.ok), path: 0)
        _ = model.apply(.set(.hang), path: 0)
        _ = begin(&model, .write, client: 2)
        let effects = model.apply(.set(.cut), path: 0)
        #expect(effects.failed.map(\.client) == [2])
        #expect(effects.awaited == [started])
        #expect(model.isAnyUnderWay(effects.awaited))
        model.finish(started, error: nil, nanoseconds: 1)
        #expect(!model.isAnyUnderWay(effects.awaited))
        // On its way back to its worker when the cut came: it does not get through either, even if
        // the path works again by then.
        _ = model.apply(.set(.ok), path: 0)
        #expect(model.resume(resumed) == .fail(.inputOutput))
        #expect(model.log.lastSequence == 1)
    }

    @Test func theReservationRefuses() {
        var model = reserved()
        _ = preempt(&model, aborts: false)
        for kind in [Model.Kind.read, .write, .discard, .flush] {
            #expect(begin(&model, kind, path: 0).verdict == .fail(Model.conflict))
        }
        #expect(model.paths[0].counters.conflicts == 4)
        #expect(begin(&model, .write, path: 1).verdict == .start)
    }

    @Test func preemptAndAbortEndsWhatIsHeld() {
        var model = reserved()
        let started = begin(&model, .write).operation
        _ = model.apply(.lateWrite, path: 0)
        #expect(begin(&model, .read).verdict == .start)
        let late = begin(&model, .write, client: 5)
        #expect(late.verdict == .hold)
        #expect(begin(&model, .write).verdict == .start)
        let effects = preempt(&model, aborts: true)
        #expect(effects.failed.map(\.client) == [5])
        #expect(effects.failed.map(\.error) == [Model.conflict])
        #expect(effects.awaited.contains(started) && effects.awaited.count == 3)
        #expect(model.apply(.releaseLate, path: 0).resumed.isEmpty)
    }

    /// The control: without the abort the late write lands on a LUN that its path is fenced from.
    @Test func aPlainPreemptDoesNotStopALateWrite() {
        var model = reserved()
        _ = model.apply(.lateWrite, path: 0)
        let late = begin(&model, .write, client: 5)
        #expect(preempt(&model, aborts: false).failed.isEmpty)
        #expect(begin(&model, .write).verdict == .fail(Model.conflict))
        #expect(model.apply(.releaseLate, path: 0).resumed.map(\.client) == [5])
        #expect(model.resume(late.operation) == .start)
        model.finish(late.operation, error: nil, nanoseconds: 1)
        #expect(model.log.entries(after: 0, limit: 1).map(\.isLate) == [true])
    }

    @Test func aFailedPathStillLetsALateWriteLand() {
        var model = model()
        _ = model.apply(.lateWrite, path: 0)
        let late = begin(&model, .write).operation
        #expect(model.apply(.set(.fail), path: 0).failed.isEmpty)
        #expect(begin(&model, .write).verdict == .fail(.inputOutput))
        _ = model.apply(.releaseLate, path: 0)
        #expect(model.resume(late) == .start)
        // Not so a path that was cut.
        _ = model.apply(.set(.ok), path: 0)
        _ = model.apply(.lateWrite, path: 0)
        #expect(begin(&model, .write, client: 3).verdict == .hold)
        #expect(model.apply(.set(.cut), path: 0).failed.map(\.client) == [3])
    }

    @Test func whatIsHeldIsBounded() {
        var model = model()
        _ = model.apply(.set(.hang), path: 0)
        for _ in 0..<LUNLimits.operationsMaximum { _ = begin(&model, .flush) }
        #expect(model.held(path: 0).all == LUNLimits.operationsMaximum)
        #expect(begin(&model, .flush).verdict == .fail(.inputOutput))
    }

    @Test func afterTheConnectionsEndNothingStarts() {
        var model = model()
        _ = model.apply(.lateWrite, path: 0)
        #expect(begin(&model, .write).verdict == .hold)
        #expect(model.connectionEnded(path: 0).failed.count == 1)
        #expect(begin(&model, .write).verdict == .fail(.inputOutput))
        #expect(model.verdict(forCommandOn: 0) == .fail)
        #expect(model.verdict(forCommandOn: 1) == .execute)
    }

    @Test func theLogForgetsTheOldest() {
        var model = model()
        #expect(model.log.firstSequence == 1 && model.log.entries(after: 0, limit: 9).isEmpty)
        for number in 1...6 {
            let write = begin(&model, .write).operation
            model.finish(write, error: nil, nanoseconds: UInt64(number))
        }
        #expect(model.log.firstSequence == 3 && model.log.lastSequence == 6)
        #expect(model.log.entries(after: 0, limit: 9).map(\.landedNanoseconds) == [3, 4, 5, 6])
        #expect(model.log.entries(after: 4, limit: 1).map(\.sequence) == [5])
        #expect(model.log.entries(after: 6, limit: 1).isEmpty)
        #expect(model.log.entries(after: .max, limit: 1).isEmpty)
    }
}
