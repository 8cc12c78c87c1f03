import Glibc
import LabKit
import Testing

extension IntegrationTests {
    /// A coordinator that was paused, and replaced, wakes up with its file system still mounted.
    /// ext4 has metadata in the device's page cache, which the kernel writes back long afterwards,
    /// whatever the daemon does.
    struct TwoCoordinatorsTests {
        @Test func theOldOneIsRefused() async throws {
            try await withLab(.test(fileSystem: .ext4, simulatedLUN: true)) { lab in
                let landed = try await wakeOldCoordinator(lab, isFenced: true)
                #expect(landed.isEmpty, "landed after the fence: \(landed.prefix(5))")
                try await lab.mend()
                for node in lab.nodes {
                    try await node.shell(
                        "test $(ls made-before | wc -l) = 40; test $(ls made-after | wc -l) = 40")
                }
            }
        }

        /// The control: with its fence undone what the old path writes is there, and the look at
        /// the LUN finds it.
        @Test func withoutTheFenceItWrites() async throws {
            try await withLab(
                .test(fileSystem: .ext4, simulatedLUN: true), checksFileSystem: false
            ) { lab in
                let landed = try await wakeOldCoordinator(lab, isFenced: false)
                #expect(!landed.isEmpty, "the control went unnoticed")
            }
        }

        /// - Returns: what the old coordinator's path wrote after it was replaced.
        private func wakeOldCoordinator(
            _ lab: Lab, isFenced: Bool
        ) async throws -> [LUNControl.Access] {
            let old = try await lab.currentCoordinator()
            let others = lab.nodes.filter { $0.name != old.name }
            let key = try await lab.key(of: old)
            try await others[0].shell(
                "mkdir made-before; for i in $(seq 40); do echo $i >made-before/$i; done")
            // Paused in the middle of this, it has changes that are not on the LUN yet.
            let report = try await lab.underLoad(
                "paused", on: others, [.metadata, .extend, .fio, .fioSync]
            ) {
                try await old.apply(.daemon(.stop))
                try await lab.waitUntilPreempted(key, of: old)
            }
            if isFenced { report.expectNoErrors("paused") }
            let sequence = try await lab.lastSequence()
            _ = try await lab.waitForTakeover(from: old)
            let refused = try await lab.counters(of: old).conflicts
            try await others[1].shell(
                "mkdir made-after; for i in $(seq 40); do echo $i >made-after/$i; done")
            if !isFenced { try lab.undoFence(of: old) }
            // The kernel's own write-back, of every file system there is, the old one included.
            // It has not always something left to write; so one block by hand as well, of the same
            // bytes as there are.
            try await onThread { sync() }
            let written = try await old.run(
                [
                    "dd", "if=\(others[0].plan.lunPath)", "of=\(old.plan.lunPath)", "bs=4096",
                    "count=1", "iflag=direct", "oflag=direct", "conv=notrunc", "status=none",
                ])
            #expect((written.status == 0) == !isFenced, "a write by hand: \(written.stderr)")
            if !isFenced { return try await lab.landed(by: old, after: sequence) }
            let conflicts = try await lab.counters(of: old).conflicts
            #expect(conflicts > refused, "the old file system did not even try")
            try await old.apply(.daemon(.continue))
            try await lab.wait(for: old, state: "Direct", atMostSeconds: 60)
            return try await lab.landed(by: old, after: sequence)
        }
    }
}
