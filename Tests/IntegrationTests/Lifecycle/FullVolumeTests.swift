import Foundation
@testable import LabKit
import Testing

extension IntegrationTests {
    @Suite struct FullVolumeTests {
        /// Who fills the volume gets ENOSPC; everybody else reads and writes on in place.
        @Test(arguments: [(LabFileSystem.xfs, 300), (.ext4, 96)])
        func onlyTheWriterFeelsIt(_ fileSystem: LabFileSystem, _ sizeMiB: Int) async throws {
            let options = LabOptions.test(
                fileSystem: fileSystem, sizeBytes: Int64(sizeMiB) << 20)
            try await withLab(options) { lab in
                let coordinator = try await lab.coordinator()
                let others = try await lab.others()
                try await coordinator.shell("head -c 8M /dev/urandom >kept; sync kept")
                for command in [
                    "dd if=/dev/zero of=filler bs=1M oflag=direct", "cat /dev/zero >filler2",
                    "yes more | dd of=filler3 bs=1000 oflag=append conv=notrunc iflag=fullblock",
                    "fallocate -l 200M filler4",
                ] {
                    let result = try await others[0].run(
                        ["bash", "-c", "cd '\(others[0].volumePath)'; \(command)"],
                        timeoutSeconds: 120)
                    #expect(
                        result.status != 0 && result.stderr.contains("No space left"),
                        "\(command): status \(result.status) \(result.stderr.suffix(300))")
                }
                // Another node can coordinate it all the same.
                try await others[0].check(
                    [lab.binaries.covol, "volume", "move", "Volume1", "--to", others[1].name])
                try await others[0].check(
                    [lab.binaries.covol, "volume", "move", "Volume1", "--to", coordinator.name])
                for (node, reader) in [
                    (others[1], others[0]), (coordinator, others[1]), (others[0], coordinator),
                ] {
                    try await node.shell(
                        "dd if=/dev/urandom of='\(lab.plan.directory)/part' bs=1M count=3 status=none; "
                            + "dd if='\(lab.plan.directory)/part' of=kept bs=1M seek=2 conv=notrunc,fsync status=none"
                    )
                    try await reader.shell(
                        "cmp <(dd if=kept bs=1M skip=2 count=3 status=none) '\(lab.plan.directory)/part'"
                    )
                }
                try await others[1].shell("rm filler*")
                try await others[0].shell("head -c 30M /dev/zero >again; sync again")
                try await coordinator.shell("test $(stat -c %s again) = $((30 << 20)); rm again")
            }
        }

        /// All nodes write into holes in random order until there is no room left: what was written is
        /// there, all else is zeros, no daemon ended over it, and what is removed makes room.
        @Test(arguments: [(LabFileSystem.xfs, 300), (.ext4, 96)])
        func scatteredWritesFillIt(_ fileSystem: LabFileSystem, _ sizeMiB: Int) async throws {
            let options = LabOptions.test(
                fileSystem: fileSystem, sizeBytes: Int64(sizeMiB) << 20)
            try await withLab(options) { lab in
                let nodes = lab.nodes
                let daemons = try await lab.status().nodes.map(\.pid)
                // Most of it is taken at once: the last part is what this is about.
                try await nodes[1].shell(
                    "fallocate -l $(($(stat -f -c '%a * %S' .) - (12 << 20))) filler; sync filler")
                let blocks = 64 << 8
                let counts = try await withThrowingTaskGroup(of: Int?.self) { group in
                    for (seed, node) in nodes.enumerated() {
                        group.addTask {
                            let words = [
                                "python3", FaultTools.scatter, "write",
                                "\(node.volumePath)/\(node.name)", "\(blocks)", "\(seed)",
                                "\(lab.plan.directory)/\(node.name).written",
                            ]
                            let result = try await node.check(words, timeoutSeconds: 120)
                            return Int(result.stdout.filter(\.isNumber))
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1 ?? 0) }
                }
                // A part of the 12 MiB is the coordinator's own, and some fills were in vain.
                #expect(counts.reduce(0, +) > 800, "\(counts)")
                tell("blocks of 4 KiB in the last 12 MiB: \(counts)")
                #expect(try await lab.status().nodes.map(\.pid) == daemons)
                for (number, writer) in nodes.enumerated() {
                    let reader = nodes[(number + 1) % nodes.count]
                    try await reader.check(
                        [
                            "python3", FaultTools.scatter, "check",
                            "\(reader.volumePath)/\(writer.name)",
                            "\(lab.plan.directory)/\(writer.name).written",
                        ], timeoutSeconds: 120)
                }
                try await nodes[0].shell("rm filler; head -c 20M /dev/zero >again; sync again")
            }
        }
    }
}
