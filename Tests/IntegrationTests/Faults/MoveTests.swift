import LabKit
import Testing

extension IntegrationTests {
    /// Another node becomes the coordinator because somebody said so.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct MoveTests {
        /// With the release build it is a second (docs/operations.md has it measured); a debug build
        /// on a busy machine gets this.
        private static let metadataPauseSeconds = 8.0

        @Test func backAndForth() async throws {
            try await SharedLab.useAndMend { lab in
                let since = try await lab.lastEvent()
                let rounds = FaultSettings.rounds(2)
                let report = try await lab.underLoad(
                    "move", on: lab.nodes, [.fio, .fsync, .metadata, .extend],
                    limitSeconds: 60 + 20 * Double(rounds)
                ) {
                    try await moveAround(lab, rounds: rounds)
                }
                report.expectNoErrors("move")
                #expect(report.longest([.metadata, .extend]) < Self.metadataPauseSeconds)
                try await lab.wait(forEvent: ["coordinator-moved"], after: since)
            }
        }

        /// Reads and writes of mapped blocks never leave the direct way.
        @Test func directInputOutputGoesOn() async throws {
            try await SharedLab.useAndMend { lab in
                var before: [StatisticsRow] = []
                var after: [StatisticsRow] = []
                let report = try await lab.underLoad(
                    "direct", on: lab.nodes, [.read, .write, .fsync]
                ) {
                    before = try await statistics(lab)
                    try await moveAround(lab, rounds: 1)
                    after = try await statistics(lab)
                }
                report.expectNoErrors("direct")
                #expect(report.longest(Probe.mapped) < 2)
                for row in after {
                    let earlier = try #require(before.first { $0.node == row.node })
                    #expect(row.redirectedWrites == earlier.redirectedWrites, "\(row.node)")
                    #expect(row.directWrites > earlier.directWrites, "\(row.node)")
                }
            }
        }

        /// Open files, locks and positions come along.
        @Test func locksComeAlong() async throws {
            try await SharedLab.useAndMend { lab in
                let (holder, other) = (lab.node(2), lab.node(3))
                try await withHeldLock(lab, on: holder, file: "moved-lock") {
                    try await moveAround(lab, rounds: 1)
                    let refused = try await other.run(
                        ["flock", "--nonblock", other.volumePath + "/moved-lock", "true"])
                    #expect(refused.status == 1, "the lock was lost: \(refused.stderr)")
                }
                try await other.check(
                    ["flock", "--timeout", "20", other.volumePath + "/moved-lock", "true"])
            }
        }

        private func moveAround(_ lab: Lab, rounds: Int) async throws {
            for _ in 0..<rounds {
                for target in [lab.node(2), lab.node(3), lab.node(1)] {
                    try await lab.node(3).check(
                        [
                            lab.binaries.covol, "volume", "move", "Volume1", "--to",
                            target.name,
                        ])
                    #expect(try await lab.currentCoordinator().name == target.name)
                    try await Task.sleep(for: .milliseconds(700))
                }
            }
        }

        private func statistics(_ lab: Lab) async throws -> [StatisticsRow] {
            try await lab.node(1).covolJSON([StatisticsRow].self, ["stats"])
        }
    }
}
