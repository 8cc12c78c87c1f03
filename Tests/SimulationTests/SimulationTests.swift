import SimulationKit
import Testing

/// A few seeds of what `make sim` runs thousands of.
@Suite struct SimulationTests {
    /// The same seed is the same run, event by event: else no failure could be looked at again.
    @Test func aSeedReplays() {
        let first = SimulationRunner.run(seed: 11, isTracing: true)
        let second = SimulationRunner.run(seed: 11, isTracing: true)
        #expect(!first.trace.isEmpty)
        #expect(first.trace == second.trace)
        #expect(first.eventCount == second.eventCount)
    }

    @Test func fixedSeedsAreClean() async {
        await expectClean(from: 1, count: 12)
    }

    /// Other seeds each time; the message says which.
    @Test func freshSeedsAreClean() async {
        let start = UInt64.random(in: 1_000_000..<1_000_000_000)
        print("SimulationTests: seeds from \(start)")
        await expectClean(from: start, count: 12)
    }

    /// A run that does nothing is clean as well.
    @Test func runsDoSomething() async {
        let report = await SimulationRunner.run(seeds: 8, from: 100)
        #expect(report.counts.directReads > 50 && report.counts.directWrites > 50)
        #expect(report.counts.redirectedWrites > 50 && report.counts.recalls > 50)
        #expect(report.counts.operations > 500)
        #expect(report.counts.mounts > 8, "no coordinator was ever replaced")
    }

    private func expectClean(from start: UInt64, count: Int) async {
        let report = await SimulationRunner.run(seeds: count, from: start)
        for failure in report.failures {
            Issue.record("\(failure.failure ?? ""); replay it with make sim SEED=\(failure.seed)")
        }
        #expect(report.seedCount == count || !report.failures.isEmpty)
    }
}
