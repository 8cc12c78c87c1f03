import Foundation
import Testing

@testable import LabKit

extension IntegrationTests {
    /// Virtual machines: real QEMUs with a guest that counts its heartbeats and its writes.
    @Suite(
        SharedLab(.test(simulatedLUN: true)),
        .enabled(if: TestGuest.found != nil, "needs QEMU and what scripts/guest builds"))
    struct MachineTests {
        @Test func itStartsShutsDownAndGoes() async throws {
            try await withMachine("plain") { lab, console in
                #expect(try await lab.shownMachine("plain").state == "Off")
                try await lab.vm("start", "plain", "--on", "node2")
                try await console.waitForBeats(5, on: "node2")
                #expect(try await lab.shownMachine("plain").node == "node2")
                #expect(lab.copies(of: "plain") == ["node2"])
                try await lab.vm("pause", "plain")
                // What was on its way to the console's log.
                try await Task.sleep(for: .milliseconds(100))
                let before = console.of("beat").count
                try await Task.sleep(for: .milliseconds(500))
                #expect(console.of("beat").count == before)
                #expect(try await lab.shownMachine("plain").state == "Paused")
                try await lab.vm("resume", "plain")
                try await console.waitForBeats(5, on: "node2")
                try await lab.vm("stop", "plain")
                #expect(!console.of("power").isEmpty, "the guest was not asked")
                #expect(try await lab.shownMachine("plain").state == "Off")
            }
        }

        @Test func itMigratesLiveUnderLoad() async throws {
            let memory =
                ProcessInfo.processInfo.environment["COVOL_MACHINE_MEMORY"] ?? "128M"
            try await withMachine("live", options: ["--memory", memory]) { lab, console in
                try await lab.vm("start", "live", "--on", "node1")
                try await console.waitForBeats(20, on: "node1")
                var gaps: [Double] = []
                // Twenty times in `make soak`.
                let isSoak = ProcessInfo.processInfo.environment["COVOL_MACHINE_ROUNDS"] != nil
                for round in 0..<(isSoak ? 20 : 3) {
                    let target = "node\((round + 1) % 3 + 1)"
                    let start = Clock.nowSeconds
                    try await lab.vm("migrate", "live", "--to", target)
                    try await console.waitForBeats(20, on: target)
                    gaps.append(console.longestGap(sinceSeconds: start))
                    #expect(lab.copies(of: "live") == [target])
                }
                let sorted = gaps.map { Int($0 * 1000) }.sorted()
                print(
                    "live migration of \(memory): blackouts \(sorted) ms, median "
                        + "\(sorted[sorted.count / 2])")
                try console.requireOneBoot()
                #expect(console.errors.isEmpty)
                try console.requireContinuity()
                try await lab.stopAndCheck("live", console)
            }
        }

        /// A console on a node that does not run the machine shows it and is heard, goes on where the
        /// machine moves, and ends with it.
        @Test func aConsoleFollowsItsMachine() async throws {
            try await withMachine("talk") { lab, console in
                try await lab.vm("start", "talk", "--on", "node1")
                try await console.waitForBeats(5, on: "node1")
                let shown = lab.plan.directory + "/shown"
                // Typed once before the move, and once after it.
                let client = Task {
                    try await lab.node(3).check(
                        [
                            "sh", "-c",
                            "{ echo first; while [ ! -e \(shown).moved ]; do sleep 0.1; done; "
                                + "sleep 2; echo second; } | '\(lab.binaries.covol)' vm console talk "
                                + "> '\(shown)' 2> '\(shown).told'",
                        ], timeoutSeconds: 120)
                }
                func text(_ suffix: String = "") -> String {
                    (try? String(contentsOfFile: shown + suffix, encoding: .utf8)) ?? ""
                }
                try await eventually("the console shows \(text())") {
                    text().contains("heard first")
                }
                let other = try await lab.node(2).covol(["vm", "console", "talk"])
                #expect(other.status != 0)
                #expect(other.stderr.contains("it is in use on node3"))
                try await lab.vm("migrate", "talk", "--to", "node2")
                try Data().write(to: URL(fileURLWithPath: shown + ".moved"))
                try await eventually("the console shows \(text())") {
                    text().contains("heard second")
                }
                #expect(text(".told").contains("the console of talk on node1"))
                #expect(text(".told").contains("the console of talk on node2"))
                try console.requireOneBoot()
                try await lab.vm("stop", "talk")
                _ = try await client.value
                #expect(text(".told").contains("talk is off"))
            }
        }

        @Test func itMovesBySavedState() async throws {
            try await withMachine("quick") { lab, console in
                try await lab.vm("start", "quick", "--on", "node1")
                try await console.waitForBeats(20, on: "node1")
                // For the next boot: what it goes on from is as large as it was.
                try await lab.vm("set", "quick", "--memory", "160M", "--cpus", "2")
                let start = Clock.nowSeconds
                try await lab.vm("migrate", "quick", "--to", "node3", "--quick")
                try await console.waitForBeats(20, on: "node3")
                print(
                    "quick migration: outage "
                        + "\(Int(console.longestGap(sinceSeconds: start) * 1000)) ms")
                try await lab.vm("save", "quick")
                #expect(try await lab.shownMachine("quick").state == "Saved")
                #expect(lab.copies(of: "quick").isEmpty)
                try await lab.vm("restore", "quick", "--on", "node2")
                try await console.waitForBeats(20, on: "node2")
                try console.requireOneBoot()
                try console.requireContinuity()
                try await lab.stopAndCheck("quick", console)
            }
        }

        @Test func aQEMUThatDiesIsStartedAgain() async throws {
            try await withMachine("dies") { lab, console in
                try await lab.vm("start", "dies", "--on", "node3")
                try await console.waitForBeats(5, on: "node3")
                try await lab.node(3).check([
                    "pkill", "-KILL", "-f", "qemu-system-x86_64 -name dies",
                ])
                try await console.waitForBeats(5, on: "node3")
                #expect(console.boots.count == 2)
                #expect(lab.copies(of: "dies") == ["node3"])
            }
        }

        @Test func aDrainEmptiesANodeAndFailbackFillsIt() async throws {
            try await withMachine("drained") { lab, console in
                try await lab.vm("start", "drained", "--on", "node1")
                try await console.waitForBeats(10, on: "node1")
                let covol = lab.binaries.covol
                try await lab.node(2).check([covol, "node", "drain", "node1"], timeoutSeconds: 120)
                let moved = try await lab.shownMachine("drained")
                #expect(moved.node != "node1" && moved.state == "Running")
                #expect(try await lab.coordinator().name != "node1")
                let refused = try await lab.node(2).run([
                    covol, "vm", "migrate", "drained", "--to", "node1",
                ])
                #expect(refused.status == 1 && refused.stderr.contains("drained"))
                try await lab.node(2).check(
                    [covol, "node", "resume", "node1", "--failback"], timeoutSeconds: 120)
                try await console.waitForBeats(10, on: "node1")
                try console.requireOneBoot()
                try console.requireContinuity()
            }
        }

        @Test func aNodesPowerOffStartsItElsewhere() async throws {
            try await withMachine("ha", options: ["--priority", "high"]) { lab, console in
                try await lab.vm("start", "ha", "--on", "node3")
                try await console.waitForBeats(10, on: "node3")
                let fault = Clock.nowSeconds
                let faultTime = Date()
                try await lab.node(3).apply(.power(isOn: false))
                while console.boots.count < 2 {
                    try require(
                        Clock.nowSeconds < fault + 60, "it was not started again in a minute")
                    try await Task.sleep(for: .milliseconds(20))
                }
                let boot = Clock.nowSeconds - fault
                let node = try #require(try await lab.shownMachine("ha").node)
                #expect(node != "node3")
                try await console.waitForBeats(5, on: node)
                let steps = try await steps(since: faultTime, lab)
                print("power off: the guest's new boot after \(boot) s: \(steps)")
                #expect(lab.copies(of: "ha") == [node])
                try await lab.node(3).apply(.power(isOn: true))
                try await lab.waitUntilServing()
            }
        }

        /// Seconds from a fault to what the cluster's events tell of it.
        private func steps(since fault: Date, _ lab: Lab) async throws -> String {
            struct Event: Decodable {
                var time: Date
                var kind: String
            }
            let kinds = ["node-lost", "fenced", "machine-restarted", "machine-runs"]
            let result = try await lab.node(1).check([lab.binaries.covol, "events", "--json"])
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .custom { decoder in
                try Date(
                    try decoder.singleValueContainer().decode(String.self),
                    strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            }
            let events = try decoder.decode([Event].self, from: Data(result.stdoutBytes))
                .filter { $0.time > fault && kinds.contains($0.kind) }
            return events.map { event in
                "\(event.kind) \((event.time.timeIntervalSince(fault) * 100).rounded() / 100)"
            }.joined(separator: ", ")
        }

        /// Nobody may run a machine while its node is no member: its supervisor sees to that, without
        /// the daemon.
        @Test func aStoppedDaemonsMachineEndsWithItsLease() async throws {
            try await withMachine("lease") { lab, console in
                try await lab.vm("start", "lease", "--on", "node2")
                try await console.waitForBeats(5, on: "node2")
                try await lab.node(2).apply(.daemon(.stop))
                let stopped = Clock.nowSeconds
                while console.boots.count < 2 {
                    try require(Clock.nowSeconds < stopped + 60, "it was not started again")
                    try await Task.sleep(for: .milliseconds(20))
                }
                // The killed QEMU itself may take longer to go: it waits for the stopped daemon.
                let log = try supervisorLog(of: "lease", on: lab.node(2))
                #expect(log.contains("the lease has ended: killing"), "\(log)")
                try await lab.node(2).apply(.daemon(.continue))
                try await lab.waitUntilServing()
                try console.requireContinuity()
            }
        }

        private func supervisorLog(of machine: String, on node: LabNode) throws -> String {
            let folder = node.plan.stateDirectory + "/vm"
            let copies = try FileManager.default.contentsOfDirectory(atPath: folder)
            return try copies.filter { $0.hasPrefix(machine + "@") }.map {
                try String(contentsOfFile: folder + "/\($0)/supervisor.log", encoding: .utf8)
            }.joined()
        }

        @Test func aFullVolumeHaltsAndSpaceResumes() async throws {
            // The disk is sparse: its first writes need space.
            try await withMachine("full") { lab, console in
                try await lab.vm("start", "full", "--on", "node2")
                try await console.waitForBeats(2, on: "node2")
                // Each dd ends with "No space left": that is what it is for.
                try await lab.node(1).shell(
                    "dd if=/dev/zero of=filler bs=1M 2>/dev/null || true; dd if=/dev/zero "
                        + "of=filler2 bs=4k 2>/dev/null || true", timeoutSeconds: 120)
                try await wait(for: "Halted", lab, "full")
                #expect(try await lab.shownMachine("full").detail == "the volume is full")
                try await lab.node(1).shell("rm filler filler2")
                try await wait(for: "Running", lab, "full")
                try await console.waitForBeats(5, on: "node2")
                try console.requireOneBoot()
                #expect(console.errors.isEmpty, "the guest saw an error")
                try await lab.stopAndCheck("full", console)
            }
        }

        private func wait(for state: String, _ lab: Lab, _ name: String) async throws {
            let deadline = Clock.nowSeconds + 60
            while try await lab.shownMachine(name).state != state {
                let now = try await lab.shownMachine(name)
                try require(Clock.nowSeconds < deadline, "it is \(now) and not \(state)")
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
