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
}
