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

        /// The control: with its fence undone the old one writes over the new one's file system,
        /// and the look at the LUN finds it.
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
            let other = try #require(lab.nodes.first { $0.name != old.name })
            try await other.shell("mkdir made-before")
            // Something to write back later.
            try await other.shell("for i in $(seq 40); do echo $i >made-before/$i; done")
            let key = try await lab.key(of: old)
            try await old.apply(.daemon(.stop))
            try await lab.waitUntilPreempted(key, of: old)
            let sequence = try await lab.lastSequence()
            _ = try await lab.waitForTakeover(from: old)
            let refused = try await lab.counters(of: old).conflicts
            try await other.shell("mkdir made-after")
            try await other.shell("for i in $(seq 40); do echo $i >made-after/$i; done")
            if !isFenced { try lab.undoFence(of: old) }
            // The kernel's own write-back, of every file system there is, the old one included.
            try await onThread { sync() }
            let landed = try await lab.landed(by: old, after: sequence)
            if !isFenced { return landed }
            let conflicts = try await lab.counters(of: old).conflicts
            #expect(conflicts > refused, "the old file system did not even try")
            try await old.apply(.daemon(.continue))
            try await lab.wait(for: old, state: "Direct", atMostSeconds: 60)
            return try await lab.landed(by: old, after: sequence)
        }
    }
}
