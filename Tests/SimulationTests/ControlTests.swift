import SimulationKit
import Testing
import VolumeModel

/// A check that never fails proves nothing: each of these rules, broken, must be noticed soon. The
/// rare ones, which need more seeds than a debug build runs in a test, are left to
/// `make sim-controls`, which breaks all of them.
@Suite struct ControlTests {
    private static let soon = [
        "clean-before-grant", "written-before-grant", "recall-before-remap", "whole-blocks",
        "order-of-grant-and-recall", "fresh-mount", "durable-before-shown", "once",
        "one-coordinator", "failed-before-redirect", "sole-mutator",
    ]

    @Test(arguments: soon) func aBrokenRuleIsNoticed(_ name: String) async throws {
        let rule = try #require(SafetyRules.named.first { $0.name == name }?.rule)
        let result = await SimulationRunner.control(rule, seedsMaximum: 40, from: 1)
        #expect(result.violation != nil, "\(result.describe(name))")
    }

    /// Its runs are short, and what shows it is rare.
    @Test func aMachineThatRunsTwiceIsNoticed() async {
        let result = await SimulationRunner.control(.machineOnce, seedsMaximum: 400, from: 1)
        #expect(result.violation?.check == "a machine runs at most once")
    }

    @Test func everyRuleHasAControl() {
        let all = SafetyRules.named.reduce(SafetyRules()) { $0.union($1.rule) }
        #expect(all == .all)
        #expect(SafetyRules.named.count == 20)
    }
}
