import Foundation
import LabKit
import Testing

extension IntegrationTests {
    /// Power cuts at random moments, while two nodes create, append, rename, link and remove. What
    /// was acknowledged is in ledgers outside of the volume; after the take-over it is all there.
    /// SEED=n replays the choices, not the timing.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct CrashConsistencyTests {
        @Test func everythingAcknowledgedIsThere() async throws {
            try await SharedLab.useAndMend { lab in
                var random = SeededGenerator(seed: SeededGenerator.seedOfThisRun)
                tell("crash consistency: SEED=\(SeededGenerator.seedOfThisRun)")
                let rounds = FaultSettings.rounds(2)
                for round in 1...rounds {
                    try await cut(lab, round, &random)
                    try await lab.mend()
                    if round % 10 == 0 { tell("crash consistency: \(round) of \(rounds) rounds") }
                }
            }
        }

        private struct Storm {
            let node: LabNode
            let ledger: String
            let task: Task<CommandResult, any Error>
        }

        private func cut(
            _ lab: Lab, _ round: Int, _ random: inout SeededGenerator
        ) async throws {
            let coordinator = try await lab.currentCoordinator()
            let others = lab.nodes.filter { $0.name != coordinator.name }
            // The coordinator's power most of the time, that of a node with a storm else.
            let stormy = random.chance(1, of: 2) ? [coordinator, others[0]] : others
            let victim = random.chance(3, of: 4) ? coordinator : stormy[0]
            let survivor = others[1]
            let directory = "storm-\(round)"
            try await survivor.shell("mkdir \(directory)")
            // Memory outlives the cut: it is the lab's, not the node's.
            let ledgers = "/dev/shm/covolume-ledger-\(lab.plan.tag)"
            try FileManager.default.createDirectory(
                atPath: ledgers, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: ledgers) }
            let stop = ledgers + "/stop"
            var storms: [Storm] = []
            for node in stormy {
                for _ in 0..<2 {
                    storms.append(
                        start(node, directory, ledgers, stop, seed: random.below(1 << 30)))
                }
            }
            do {
                for storm in storms { try await waitForFile(storm.ledger) }
                try await Task.sleep(for: .milliseconds(random.below(3000)))
                try await victim.apply(.power(isOn: false))
                if victim.name == coordinator.name {
                    _ = try await lab.waitForTakeover(from: victim)
                } else {
                    try await Task.sleep(for: .seconds(2))
                }
                // The survivors' storms go on with the new coordinator.
                try await Task.sleep(for: .milliseconds(700))
            } catch {
                try Data().write(to: URL(fileURLWithPath: stop))
                for storm in storms { _ = try? await storm.task.value }
                throw error
            }
            try Data().write(to: URL(fileURLWithPath: stop))
            var words = [
                "python3", FaultTools.storm, "check", "\(survivor.volumePath)/\(directory)",
            ]
            for storm in storms {
                let isLost = storm.node.name == victim.name
                let result = try await storm.task.value
                try require(
                    isLost || result.status == 0,
                    "round \(round): a storm on \(storm.node.name): \(result.stderr)")
                words.append((isLost ? "lost:" : "") + storm.ledger)
            }
            let what = "round \(round): \(victim.name)'s power, coordinator \(coordinator.name)"
            let checked = try await survivor.run(words, timeoutSeconds: 120)
            try require(
                checked.status == 0,
                "\(what), \(stormy.map(\.name)) stormy: \(checked.stdout)\(checked.stderr)")
            tell("\(what): \(checked.line) acknowledged and there")
            try await survivor.shell("rm -r \(directory)", timeoutSeconds: 120)
        }

        private func start(
            _ node: LabNode, _ directory: String, _ ledgers: String, _ stop: String, seed: Int
        ) -> Storm {
            let ledger = "\(ledgers)/\(seed)"
            let words = [
                "python3", FaultTools.storm, "run", "\(node.volumePath)/\(directory)", ledger,
                "\(seed)", stop,
            ]
            return Storm(
                node: node, ledger: ledger,
                task: Task { try await node.run(words, timeoutSeconds: 120) })
        }
    }
}
