import LabKit
import Testing

extension IntegrationTests {
    /// Programs that others wrote to find what breaks, on a node that is not the coordinator.
    @Suite(SharedLab()) struct StressTests {
        /// Of stress-ng's file system class, what a file system without shared maps, ioctls and
        /// notifications for others' changes can do, and what ends soon after its time.
        private static let stressors = [
            "chmod", "chown", "copy-file", "dentry", "dir", "fallocate", "fcntl", "filename",
            "flock", "fstat", "hdd", "link", "locka", "lockf", "lockofd", "open", "rename",
            "symlink", "sync-file", "touch", "utime", "xattr",
        ]

        @Test func stressNG() async throws {
            try await SharedLab.use { lab in
                let node = try await lab.others()[0]
                try await node.shell("mkdir stress")
                for stressor in Self.stressors {
                    let result = try await node.run(
                        [
                            "stress-ng", "--temp-path", node.volumePath + "/stress", "--verify",
                            "--\(stressor)", "2", "--timeout", "1",
                        ], timeoutSeconds: 40)
                    #expect(
                        result.status == 0,
                        "\(stressor): status \(result.status)\n\(result.stdout)\(result.stderr)")
                }
                try await node.shell("test -z \"$(ls stress)\"")
            }
        }

        @Test func dbench() async throws {
            try await SharedLab.use { lab in
                let node = try await lab.others()[0]
                try await node.shell("mkdir dbench")
                let result = try await node.check(
                    [
                        "dbench", "--timelimit=8", "--directory=\(node.volumePath)/dbench",
                        "--loadfile=/usr/share/dbench/client.txt", "--run-once", "3",
                    ], timeoutSeconds: 90)
                #expect(result.stdout.contains("Throughput"))
                try await node.shell("rm -rf dbench")
            }
        }
    }
}
