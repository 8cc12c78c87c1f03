import Testing

@testable import FUSE

@Suite struct PollingTests {
    @Test func looksWhileFew() {
        var polling = FUSEPolling()
        let answers = [0, 1, FUSELimits.pollOperationsMaximum + 1].map {
            polling.mayPoll(operationsInFlight: $0)
        }
        #expect(answers == [false, true, false])
    }

    /// What was in vain is tried ever more rarely, and at once again after it was not.
    @Test func pausesGrowAndEnd() {
        var polling = FUSEPolling()
        var pauses: [Int] = []
        for _ in 0..<12 {
            polling.polled(found: false)
            var waits = 0
            while !polling.mayPoll(operationsInFlight: 1) { waits += 1 }
            pauses.append(waits)
        }
        #expect(pauses.prefix(5) == [1, 2, 4, 8, 16])
        #expect(pauses.last == Int(FUSELimits.pollPauseMaximum))
        polling.polled(found: true)
        let mayPoll = polling.mayPoll(operationsInFlight: 1)
        #expect(mayPoll)
    }

    @Test func anAttemptEndsInTime() {
        var attempt = FUSEPolling.Attempt(at: 1_000)
        var now: UInt64 = 1_000
        repeat { now += FUSELimits.pollStepNanoseconds / 4 } while attempt.goesOn(at: now)
        #expect(now == 1_000 + FUSELimits.pollNanoseconds && attempt.isUndisturbed)
    }

    /// Somebody else had the processor for long: the attempt ends, and what it found does not count.
    @Test func anAttemptGivesWay() {
        var attempt = FUSEPolling.Attempt(at: 1_000)
        let goesOn = [10, FUSELimits.pollStepNanoseconds + 10].map {
            attempt.goesOn(at: 1_000 + $0)
        }
        #expect(goesOn == [true, false] && !attempt.isUndisturbed)
    }
}
