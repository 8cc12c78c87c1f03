import LabKit
import Testing

extension IntegrationTests {
    /// Programs that others wrote to find what breaks, on a node that is not the coordinator.
    @Suite(SharedLab()) struct StressTests {
        /// Of stress-ng's file system class, what a file system without shared maps, ioctls and
        /// notifications can do, and what ends soon after its time. Sizes fit a second's work.
        private static let stressors = [
            "chmod 2", "chown 2", "dentry 2 --dentries 40", "fallocate 1 --fallocate-bytes 8M",
            "fcntl 2", "flock 2", "fpunch 1", "getdent 1", "hdd 2 --hdd-bytes 8M",
            "iomix 1 --iomix-bytes 8M", "locka 2", "lockf 2", "lockofd 2", "open 2", "rename 2",
            "sync-file 1 --sync-file-bytes 4M", "touch 2", "utime 2", "xattr 2",
        ]

        @Test func stressNG() async throws {
            try await SharedLab.use { lab in
                let node = try await lab.others()[0]
                try await node.shell("mkdir stress")
                for stressor in Self.stressors {
                    let result = try await node.run(
                        [
                            "stress-ng", "--temp-path", node.volumePath + "/stress", "--verify",
                            "--timeout", "1",
                        ] + "--\(stressor)".split(separator: " ").map(String.init),
                        timeoutSeconds: 40)
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
                        "--loadfile=/usr/share/dbench/client.txt", "3",
                    ], timeoutSeconds: 90)
                #expect(result.stdout.contains("Throughput"))
                try await node.shell("rm -rf dbench")
            }
        }
    }
}
