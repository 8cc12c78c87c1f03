import Foundation
import LabKit
import Testing

extension IntegrationTests {
    /// A node that is not the coordinator goes. What it held ends with the proof of its fence.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct NodeDeathTests {
        @Test(arguments: FaultSettings.variants)
        func locksEndWithTheFence(powerGoes: Bool) async throws {
            try await SharedLab.useAndMend { lab in
                let others = try await lab.others()
                let (victim, waiting) = (others[1], try await lab.currentCoordinator())
                let coordinator = waiting.name
                let since = try await lab.lastEvent()
                let name = powerGoes ? "lock-power" : "lock-kill"
                let report = try await lab.underLoad(
                    name, on: [others[0], waiting], [.fio, .write, .metadata]
                ) {
                    try await withHeldLock(lab, on: victim, file: name) {
                        let want = try await startWanting(lab, on: waiting, file: name)
                        let key = try await lab.key(of: victim)
                        try await victim.apply(powerGoes ? .power(isOn: false) : .daemon(.kill))
                        let seen = try await lab.waitUntilPreempted(key, of: victim)
                        let got = try await want.value
                        #expect(got >= seen, "the lock came \(seen - got) s before the fence")
                        tell("\(name): fenced after \(seen), lock at \(got)")
                    }
                }
                report.expectNoErrors(name)
                #expect(try await lab.currentCoordinator().name == coordinator)
                try await lab.wait(forEvent: ["node-lost"], of: victim, after: since)
                try await lab.wait(forEvent: ["fenced"], of: victim, after: since)
                // It comes back, and finds what the others made.
                try await others[0].shell("echo meanwhile >meanwhile-\(name)")
                try await lab.mend()
                try await victim.shell("grep -q meanwhile meanwhile-\(name); echo x >back-\(name)")
                try await others[0].shell("grep -q x back-\(name)")
            }
        }

        /// Stopped long enough to be fenced, it lives on. What was open then is lost for ever.
        @Test func opensOfAFencedLifeAreLost() async throws {
            try await SharedLab.useAndMend { lab in
                let others = try await lab.others()
                let (victim, other) = (others[0], others[1])
                let directory = lab.plan.directory
                let (ready, go) = (directory + "/opened", directory + "/go")
                let holder = Task {
                    try await victim.run(
                        [
                            "python3", FaultTools.holder, "open",
                            victim.volumePath + "/held-open", ready, go,
                        ], timeoutSeconds: 120)
                }
                try await waitForFile(ready)
                let key = try await lab.key(of: victim)
                let report = try await lab.underLoad(
                    "stopped", on: [other], [.fio, .write, .metadata]
                ) {
                    try await victim.apply(.daemon(.stop))
                    try await Task.sleep(for: .seconds(FaultSettings.seconds(20)))
                    #expect(try await lab.key(of: victim) != key, "it was not fenced")
                    try await other.shell("echo changed >held-open")
                    try await victim.apply(.daemon(.continue))
                    try await lab.wait(for: victim, state: "Direct", atMostSeconds: 60)
                }
                report.expectNoErrors("stopped")
                try Data().write(to: URL(fileURLWithPath: go))
                let result = try await holder.value
                let found = try JSONDecoder().decode(
                    [String: String?].self, from: Data(result.stdoutBytes))
                for operation in ["read", "write", "fsync", "lock", "again"] {
                    #expect(found[operation] == "EIO", "\(operation): \(found)")
                }
                #expect(found["new"] == .some(nil), "a new open: \(found)")
                try await victim.shell("grep -q changed held-open")
            }
        }

        /// When it got the lock (CLOCK_BOOTTIME).
        private func startWanting(
            _ lab: Lab, on node: LabNode, file: String
        ) async throws -> Task<Double, any Error> {
            let ready = lab.plan.directory + "/wants-\(file)"
            let task = Task {
                let result = try await node.check(
                    ["python3", FaultTools.holder, "want", "\(node.volumePath)/\(file)", ready],
                    timeoutSeconds: 120)
                guard let seconds = Double(result.line) else { throw Finding(result.stdout) }
                return seconds
            }
            try await waitForFile(ready)
            return task
        }
    }
}
