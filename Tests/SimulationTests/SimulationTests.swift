import SimulationKit
import Testing

/// The same seed is the same run, event by event: else no failure could be looked at again.
@Suite struct SimulationTests {
    @Test func aSeedReplays() {
        let first = SimulationRunner.run(seed: 11, isTracing: true)
        let second = SimulationRunner.run(seed: 11, isTracing: true)
        #expect(!first.trace.isEmpty)
        #expect(first.trace == second.trace)
        #expect(first.eventCount == second.eventCount)
    }
}
