import Foundation
import Glibc
import Testing

@testable import LabKit

extension IntegrationTests {
    /// A daemon ends cleanly and comes back; no file is open meanwhile.
    @Suite(SharedLab()) struct RestartTests {
        @Test(arguments: [false, true])
        func comesBack(coordinator: Bool) async throws {
            try await SharedLab.use { lab in
                let coordinating = try await lab.coordinator()
                let node = coordinator ? coordinating : try await lab.others()[0]
                let name = "restart-\(coordinator)"
                let writer = try await lab.others()[1]
                try await writer.shell("head -c 3M /dev/urandom >\(name); sync \(name)")
                let sums = try await node.shell("sha256sum \(name)").stdout
                try await restart(node)
                try await lab.waitUntilServing()
                for other in lab.nodes {
                    #expect(
                        try await other.shell("sha256sum \(name)").stdout == sums, "\(other.name)")
                    try await other.shell("echo \(other.name) >>\(name)-after")
                }
                let lines = try await node.shell("sort \(name)-after").stdout
                #expect(lines == lab.nodes.map { $0.name + "\n" }.joined())
            }
        }

        /// A daemon is killed while programs have files open: what was acknowledged is there, a file goes
        /// on growing, and its lock still keeps others out. On any node, and on the coordinator's.
        @Test(arguments: [false, true])
        func openFilesOutliveAKilledDaemon(coordinator: Bool) async throws {
            try await SharedLab.use { lab in
                let since = try await lab.lastEvent()
                let coordinating = try await lab.coordinator()
                let node = coordinator ? coordinating : try await lab.others()[0]
                let other = try #require(lab.nodes.first { $0.name != node.name })
                let name = "outlives-\(coordinator)"
                let program = lab.plan.directory + "/appender.py"
                try Self.appender.write(toFile: program, atomically: true, encoding: .utf8)
                // In a process of its own: one that has a file open there must not start a daemon, for
                // its child's copy of the descriptor is closed with a FLUSH that waits for that.
                async let appended = node.run(
                    [
                        "python3", program, "\(node.volumePath)/\(name)",
                        "\(node.plan.directory)/enough-\(coordinator)",
                    ],
                    timeoutSeconds: 120)
                for round in 0..<3 {
                    try await Task.sleep(for: .milliseconds(400))
                    if round == 1 { try await killHolder(of: node) }
                    try await node.apply(.daemon(.kill))
                    try await node.apply(.daemon(.start))
                    try await lab.waitUntilServing()
                }
                let isLocked = try await other.run([
                    "flock", "--nonblock", other.volumePath + "/" + name, "true",
                ])
                #expect(isLocked.status == 1)
                try Data().write(
                    to: URL(filePath: "\(node.plan.directory)/enough-\(coordinator)"))
                let result = try await appended
                try require(result.status == 0, "\(result.stdout) \(result.stderr)")
                let blocks = try #require(Int(result.stdout.filter(\.isNumber)))
                #expect(blocks > 100)
                let size = try await node.shell("stat -c %s \(name)").stdout
                #expect(size == "\(blocks * 4096)\n")
                let sum = try await node.shell("sha256sum <\(name)").stdout
                #expect(try await other.shell("sha256sum <\(name)").stdout == sum)
                let count = try await other.shell(
                    "od -An -v -tx8 -w4096 \(name) | awk '{print $1}' | uniq | wc -l"
                ).stdout
                #expect(count == "\(blocks)\n", "a block is missing or another's")
                try await lab.wait(forEvent: ["mount-resumed"], after: since)
            }
        }

        /// Appends numbered blocks to a file that it has locked, each when the one before is written, until
        /// a file appears; then says how many. What went with a daemon while it came to it is written
        /// again, as QEMU does it.
        private static let appender = """
            import errno, fcntl, os, sys
            file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            blocks = 0
            while not os.path.exists(sys.argv[2]):
                block = (blocks + 1).to_bytes(8, "little") * 512
                try:
                    assert os.pwrite(file, block, blocks * 4096) == 4096
                    blocks += 1
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.ECANCELED):
                        raise
            print(blocks)
            """

        /// Returns when another holder has what this one had.
        private func killHolder(of node: LabNode) async throws {
            func kept() -> Int {
                let log = (try? String(contentsOfFile: node.plan.log, encoding: .utf8)) ?? ""
                return log.split(separator: "\n").count { $0.contains("another one keeps them") }
            }
            let before = kept()
            try await node.check(
                ["pkill", "-KILL", "-f", "covol-holder \(node.plan.stateDirectory)/"])
            try await eventually("another holder keeps the mount") { kept() > before }
        }

        private func restart(_ node: LabNode) async throws {
            let daemon = node.daemon
            try await node.signal(SIGTERM)
            let hasEnded = try await Blocking.run { () throws(LabError) in
                Clock.wait(atMostSeconds: 30) { !(daemon?.isAlive ?? false) }
            }
            try require(hasEnded, "\(node.name) did not end within 30 s of SIGTERM")
            #expect(try !node.isVolumeMounted(), "\(node.name) left its mount")
            try node.start()
            try await node.waitForSocket()
        }
    }
}
