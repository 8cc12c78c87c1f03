import LabKit
import Testing

extension IntegrationTests {
    /// fio writes at random from three nodes at once and checks every block's sum.
    @Suite(SharedLab()) struct FioTests {
        static let engines = ["libaio", "io_uring", "psync"]
        private static let partMiB = 6

        @Test(arguments: engines, [false, true])
        func aFilePerNode(_ engine: String, sparse: Bool) async throws {
            try await SharedLab.use { lab in
                try await fioEverywhere(lab) { number in
                    [
                        "--filename=own-\(engine)-\(sparse)-\(number)", "--ioengine=\(engine)",
                        "--size=\(Self.partMiB)M", "--overwrite=\(sparse ? 0 : 1)",
                    ]
                }
            }
        }

        @Test(arguments: engines, [false, true])
        func rangesOfOneFile(_ engine: String, sparse: Bool) async throws {
            try await SharedLab.use { lab in
                let name = "shared-\(engine)-\(sparse)"
                let size = Self.partMiB * lab.nodes.count
                try await lab.node(1).shell(
                    sparse
                        ? "truncate -s \(size)M \(name)"
                        : "dd if=/dev/zero of=\(name) bs=1M count=\(size) conv=fsync status=none")
                try await fioEverywhere(lab) { number in
                    [
                        "--filename=\(name)", "--ioengine=\(engine)", "--size=\(Self.partMiB)M",
                        "--offset=\((number - 1) * Self.partMiB)M",
                    ]
                }
                // Each node's part again, as the next one reads it.
                for node in lab.nodes {
                    let other = node.plan.number % lab.nodes.count
                    try await fio(
                        node,
                        [
                            "--filename=\(name)", "--ioengine=\(engine)",
                            "--size=\(Self.partMiB)M", "--offset=\(other * Self.partMiB)M",
                            "--verify_only",
                        ])
                }
            }
        }

        private func fioEverywhere(
            _ lab: Lab, _ arguments: @escaping @Sendable (Int) -> [String]
        ) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for node in lab.nodes {
                    group.addTask { try await fio(node, arguments(node.plan.number)) }
                }
                try await group.waitForAll()
            }
        }

        private func fio(_ node: LabNode, _ arguments: [String]) async throws {
            try await node.check(
                [
                    "fio", "--name=verify", "--directory=\(node.volumePath)", "--rw=randwrite",
                    "--bsrange=4k-64k", "--iodepth=16", "--direct=1", "--fallocate=none",
                    "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--randseed=7",
                    "--output-format=terse",
                ] + arguments, timeoutSeconds: 60)
        }
    }
}
