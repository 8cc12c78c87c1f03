import LabKit
import Testing

extension IntegrationTests {
    /// The coordinator goes, in every way there is. Another node takes its place by itself.
    @Suite(SharedLab(.test(simulatedLUN: true))) struct CoordinatorDeathTests {
        private static let probes: [Probe] = [.fioSync, .write, .read, .metadata, .extend]

        /// The defaults promise 15 seconds; a debug build under load on a small machine gets more.
        private static let metadataPauseSeconds = 30.0
        private static let mappedPauseSeconds = 3.0

        @Test func daemonIsKilled() async throws {
            try await lose("daemon-kill") { try await $0.apply(.daemon(.kill)) }
        }

        @Test func powerGoes() async throws {
            try await lose("power-off") { try await $0.apply(.power(isOn: false)) }
        }

        @Test func networkGoes() async throws {
            try await lose("network-down") {
                try await $0.apply(.network(.cluster, isUp: false))
            }
        }

        /// It sleeps through its own replacement.
        @Test func daemonIsStopped() async throws {
            try await lose(
                "daemon-stop", staysSeconds: FaultSettings.seconds(18)
            ) {
                try await $0.apply(.daemon(.stop))
            } afterwards: {
                try await $0.apply(.daemon(.continue))
            }
        }

        private func lose(
            _ name: String, staysSeconds: Double = 0, _ fault: (LabNode) async throws -> Void,
            afterwards: (LabNode) async throws -> Void = { _ in }
        ) async throws {
            try await SharedLab.useAndMend { lab in
                let old = try await lab.currentCoordinator()
                let survivors = lab.nodes.filter { $0.name != old.name }
                let since = try await lab.lastEvent()
                try await old.shell("echo acknowledged >from-\(name); sync from-\(name)")
                let report = try await lab.underLoad(name, on: survivors, Self.probes) {
                    let start = bootSeconds()
                    try await fault(old)
                    _ = try await lab.waitForTakeover(from: old)
                    try await survivors[0].shell(
                        "grep -q acknowledged from-\(name); echo 2 >after-\(name)")
                    let rest = staysSeconds - (bootSeconds() - start)
                    if rest > 0 { try await Task.sleep(for: .seconds(rest)) }
                    try await afterwards(old)
                    if staysSeconds > 0 {
                        try await lab.wait(for: old, state: "Direct", atMostSeconds: 60)
                    }
                }
                report.expectNoErrors(name)
                #expect(report.longest(Probe.mapped) < Self.mappedPauseSeconds)
                #expect(report.longest([.metadata, .extend]) < Self.metadataPauseSeconds)
                try await lab.wait(forEvent: ["coordinator-lost"], after: since)
                try await lab.wait(forEvent: ["fenced"], of: old, after: since)
                try await lab.wait(forEvent: ["coordinator-took-over"], after: since)
                try await lab.mend()
                try await old.shell("grep -q 2 after-\(name); echo 3 >back-\(name)")
                try await survivors[1].shell("grep -q 3 back-\(name)")
            }
        }

        /// The longest operation on mapped blocks, with and without a crash in the same time.
        @Test(arguments: FaultSettings.variants)
        func mappedInputOutputDoesNotNotice(withFsync: Bool) async throws {
            try await SharedLab.useAndMend { lab in
                let old = try await lab.currentCoordinator()
                let survivors = lab.nodes.filter { $0.name != old.name }
                let probes: [Probe] = [.read, withFsync ? .fsync : .write]
                var seconds = 0.0
                let crash = try await lab.underLoad(
                    "crash-\(withFsync)", on: survivors, probes
                ) {
                    let start = bootSeconds()
                    try await old.apply(.power(isOn: false))
                    _ = try await lab.waitForTakeover(from: old)
                    try await Task.sleep(for: .seconds(1))
                    seconds = bootSeconds() - start
                }
                try await lab.mend()
                let calm = try await lab.underLoad(
                    "calm-\(withFsync)", on: survivors, probes
                ) {
                    try await Task.sleep(for: .seconds(seconds))
                }
                crash.expectNoErrors("crash")
                calm.expectNoErrors("calm")
                // Below this the machine's own noise decides.
                let bound = max(2 * calm.longest(Probe.mapped), 0.25)
                let longest = crash.longest(Probe.mapped)
                #expect(longest <= bound, "\(longest) s with the crash, bound \(bound) s")
            }
        }
    }
}
