import Foundation
@testable import LabKit
import Testing

extension IntegrationTests {
    /// Two nodes on the same files against a model. SEED replays a run; COVOL_COHERENCE_SECONDS and
    /// COVOL_COHERENCE_OPERATIONS make it longer than in continuous integration.
    @Suite struct CoherenceTests {
        private static let environment = ProcessInfo.processInfo.environment
        private static let seconds =
            environment["COVOL_COHERENCE_SECONDS"].flatMap { Double($0) } ?? 4
        private static let operations =
            environment["COVOL_COHERENCE_OPERATIONS"].flatMap { Int($0) } ?? 1_000_000

        @Test(arguments: LabFileSystem.allCases)
        func everyByteIsTheModels(_ fileSystem: LabFileSystem) async throws {
            try await withLab(.test(fileSystem: fileSystem)) { lab in
                let coordinator = try await lab.coordinator()
                let others = try await lab.others()
                try await oneAtATime(lab, [others[0], others[1]], observer: coordinator)
                try await oneAtATime(lab, [coordinator, others[0]], observer: others[1])
                try await bothAtOnce(lab, [others[0], others[1]], observer: coordinator)
                try await bothAtOnce(lab, [others[0], coordinator], observer: others[1])
            }
        }

        private func place(_ lab: Lab, _ nodes: [LabNode], _ observer: LabNode)
            -> CoherenceRun.Place
        {
            CoherenceRun.Place(
                nodes: nodes.map(\.volumePath), observer: observer.volumePath,
                label: lab.plan.options.fileSystem.rawValue + "-" + nodes[0].name + nodes[1].name)
        }

        private func oneAtATime(
            _ lab: Lab, _ nodes: [LabNode], observer: LabNode
        ) async throws {
            let place = place(lab, nodes, observer)
            let seed = SeededGenerator.seedOfThisRun
            let watchdog = Watchdog(directory: lab.plan.directory)
            defer { watchdog.end() }
            let count = try await onThread {
                let run = CoherenceRun(place: place, seed: seed, watchdog: watchdog)
                try run.run(operations: Self.operations, seconds: Self.seconds)
                return run.operationCount
            }
            LabDirectory.report("coherence \(place.label): \(count) operations, SEED=\(seed)")
            #expect(count > 100)
        }

        private func bothAtOnce(
            _ lab: Lab, _ nodes: [LabNode], observer: LabNode
        ) async throws {
            let place = place(lab, nodes, observer)
            let seed = SeededGenerator.seedOfThisRun
            let watchdog = Watchdog(directory: lab.plan.directory)
            defer { watchdog.end() }
            let deadline = Date().addingTimeInterval(Self.seconds * 0.75)
            let shared = SharedFileRun(place: place, seed: seed, watchdog: watchdog)
            try await shared.make()
            var round = 0
            repeat {
                round += 1
                try await shared.round(round)
            } while Date() < deadline
            LabDirectory.report(
                "coherence \(place.label), both at once: \(round) rounds of "
                    + "\(2 * SharedFileRun.operationsPerRound) operations, SEED=\(seed)")
        }
    }
}
