import Foundation
import LabKit
import Testing

extension IntegrationTests {
    /// QEMU's tools on images in a volume.
    @Suite(SharedLab()) struct QEMUTests {
        @Test(arguments: ["none", "writeback"])
        func imagesOnAllNodes(_ cache: String) async throws {
            try await SharedLab.use { lab in
                let (one, two, three) = (lab.node(1), lab.node(2), lab.node(3))
                let image = "image-\(cache).qcow2"
                let io = "qemu-io -t \(cache) -f qcow2"
                try await one.shell("qemu-img create -q -f qcow2 \(image) 256M")
                try await two.shell(
                    "\(io) -c 'write -P 0x5a 0 6M' -c 'write -P 0xa5 100M 64k' \(image)")
                try await three.shell("qemu-img snapshot -c first \(image)")
                try await three.shell("\(io) -c 'write -P 0x33 2M 1M' \(image)")
                try await expectPattern(
                    one, "\(io) -r -c 'read -P 0x33 2M 1M' -c 'read -P 0x5a 3M 3M' \(image)")
                try await two.shell("qemu-img check -q \(image)")
                try await two.shell("qemu-img snapshot -l \(image) | grep -q first")
                try await three.shell(
                    "qemu-img convert -t \(cache) -T \(cache) -O raw \(image) \(image).raw; "
                        + "qemu-img convert -t \(cache) -T \(cache) -c -O qcow2 \(image).raw \(image).again"
                )
                try await one.shell("qemu-img compare -q \(image) \(image).raw")
                try await two.shell("qemu-img compare -q \(image) \(image).again")
                try await one.shell("qemu-img snapshot -a first \(image)")
                try await expectPattern(two, "\(io) -r -c 'read -P 0x5a 0 6M' \(image)")
                try await three.shell(
                    "qemu-img snapshot -d first \(image); qemu-img check -q \(image)")
                try await two.shell("rm \(image) \(image).raw \(image).again")
            }
        }

        private func expectPattern(_ node: LabNode, _ command: String) async throws {
            let result = try await node.shell(command)
            #expect(!result.stdout.contains("verification failed"), "\(result.stdout)")
        }

        @Test func anImageIsWrittenByOneNodeOnly() async throws {
            try await SharedLab.use { lab in
                let nodes = try await lab.others()
                let (first, second) = (nodes[0], nodes[1])
                try await first.shell("qemu-img create -q -f qcow2 locked.qcow2 64M")
                // Holds the image open until the file `go` is there.
                async let holder = first.shell(
                    """
                    (echo 'write -P 0x11 0 64k'; echo flush; until test -e go; do sleep 0.05; done; \
                    echo 'write -P 0x12 64k 64k'; echo quit) | qemu-io -f qcow2 locked.qcow2
                    """, timeoutSeconds: 30)
                // Without taking locks, until the first one has the image open.
                try await second.shell(
                    """
                    for i in {1..200}; do
                        qemu-io -U -r -f qcow2 -c 'read -P 0x11 0 64k' locked.qcow2 >out 2>&1 &&
                            ! grep -q failed out && exit
                        sleep 0.05
                    done
                    cat out; exit 1
                    """, timeoutSeconds: 30)
                let path = second.volumePath + "/locked.qcow2"
                let refused = try await second.run(["qemu-io", "-f", "qcow2", "-c", "quit", path])
                #expect(refused.status != 0)
                #expect(
                    refused.stderr.contains("Failed to get \"write\" lock"),
                    "the second qemu-io: \(refused.stderr)\(refused.stdout)")
                try await second.shell("touch go")
                _ = try await holder
                try await second.shell(
                    "qemu-io -f qcow2 -c 'read -P 0x11 0 64k' -c 'read -P 0x12 64k 64k' "
                        + "-c 'write 0 4k' locked.qcow2 | tee out; ! grep failed out")
                try await first.shell("qemu-img check -q locked.qcow2")
            }
        }
    }
}
