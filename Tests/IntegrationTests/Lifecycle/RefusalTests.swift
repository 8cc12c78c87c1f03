@testable import LabKit
import Testing

extension IntegrationTests {
    /// What `covol volume add` refuses, and that it changes nothing then.
    @Suite(SharedLab()) struct RefusalTests {
        /// What the prober goes by, as the tools that write it would: a partition table, an LVM
        /// physical volume's label with its sum, the magic of a btrfs, swap space.
        private static let others = """
            import struct
            def make(name, *pieces):
                with open(name + '.img', 'wb') as image:
                    image.truncate(128 << 20)
                    for offset, data in pieces:
                        image.seek(offset)
                        image.write(data)
            make('dos', (446, bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0])),
                 (510, b'\\x55\\xaa'))
            label = bytearray(512)
            label[0:8], label[8], label[20], label[24:32] = b'LABELONE', 1, 32, b'LVM2 001'
            label[32:64] = b'0123456789abcdef' * 2
            total = 0xf597a6cf
            for byte in label[20:]:
                total ^= byte
                for _ in range(8):
                    total = total >> 1 ^ (0xedb88320 if total & 1 else 0)
            label[16:20] = struct.pack('<I', total)
            make('lvm', (512, bytes(label)))
            make('btrfs', (0x10040, b'_BHRfS_M'))
            make('noise', (1 << 20, b'what is this' * 1000), (0, b'x'))
            make('blank')
            make('swap')
            """

        @Test(arguments: [
            ("dos", "partition table"), ("lvm", "LVM"), ("btrfs", "btrfs"), ("swap", "swap"),
            ("noise", "no known kind"), ("blank", "--format"),
        ])
        func whatElseIsThere(_ name: String, _ words: String) async throws {
            try await SharedLab.use { lab in
                if name == "dos" {
                    try await lab.node(1).check([
                        "python3", "-c",
                        "import os; os.chdir('\(lab.plan.directory)')\n" + Self.others,
                    ])
                    try await lab.machine("mkswap swap.img >/dev/null")
                }
                let before = try await lab.machine("sha256sum \(name).img").stdout
                #expect(try await lab.refusal([lab.image(name)]).contains(words))
                if name != "blank" {
                    let formatting = try await lab.refusal([lab.image(name), "--format"])
                    #expect(formatting.contains(words), "--format: \(formatting)")
                }
                #expect(try await lab.machine("sha256sum \(name).img").stdout == before)
                try await lab.machine("rm \(name).img")
            }
        }

        @Test func aMountedDevice() async throws {
            try await SharedLab.use { lab in
                let path = try await lab.makeImage("mounted", .ext4)
                let loop = try await lab.machine("losetup --find --show '\(path)'").stdout
                    .split(separator: "\n").joined()
                do {
                    try await lab.machine("mkdir plain; mount \(loop) plain")
                    for arguments in [[loop], [loop, "--format"], [path], [path, "--format"]] {
                        let message = try await lab.refusal(arguments)
                        #expect(message.contains("in use"), "\(arguments): \(message)")
                    }
                } catch {
                    _ = try? await lab.machine("umount plain || true; losetup --detach \(loop)")
                    throw error
                }
                try await lab.machine(
                    "umount plain; losetup --detach \(loop); rmdir plain; e2fsck -fn '\(path)'; rm '\(path)'"
                )
            }
        }

        @Test func anotherClustersVolume() async throws {
            try await SharedLab.use { lab in
                let directory = try LabDirectory.makeTemporary()
                defer { LabDirectory.remove(directory) }
                let other = try await Lab.up(
                    directory: directory,
                    options: .test(fileSystem: .ext4, nodes: 1, sizeBytes: 64 << 20),
                    certificates: Lab.defaultCertificates)
                defer { other.removeImage() }
                try await other.down(keepImage: true)
                let image = other.plan.imagePath
                let cluster = other.plan.clusterName
                #expect(try await lab.refusal([image]).contains(cluster))
                #expect(try await lab.refusal([image, "--format"]).contains("nothing was written"))
                try await other.checkFileSystem()
            }
        }

        @Test func theSameTwiceAndBadNames() async throws {
            try await SharedLab.use { lab in
                let lun = lab.plan.imagePath
                #expect(try await lab.refusal([lun]).contains("Volume1"))
                try await lab.machine("ln -s '\(lun)' alias.img")
                #expect(
                    try await lab.refusal([lab.image("alias"), "--format"]).contains("Volume1"))
                let blank = lab.image("names")
                try await lab.machine("truncate -s 64M '\(blank)'")
                let long = String(repeating: "n", count: 65)
                for name in ["", ".", "..", ".hidden", "a/b", "a b", "-x", "ä", long] {
                    let message = try await lab.refusal(
                        [blank, "--format", "--filesystem", "ext4", "--name=\(name)"],
                        statuses: [1, 2])
                    #expect(message.contains("name"), "\(name): \(message)")
                }
                let taken = try await lab.refusal(
                    [blank, "--format", "--filesystem", "ext4", "--name", "Volume1"])
                #expect(taken.contains("there is a volume Volume1 already"))
                let missing = try await lab.refusal([lab.image("nowhere")])
                #expect(missing.contains("No such file"), "\(missing)")
                _ = try await lab.refusal([lab.plan.directory])
                _ = try await lab.refusal(["/dev/null"])
                try await lab.machine("rm '\(blank)' alias.img")
                // Nothing of all this is left in the cluster.
                let list = try await lab.node(2).check([lab.binaries.covol, "volume", "list"])
                #expect(list.stdout.split(separator: "\n").count == 2, "\(list.stdout)")
            }
        }

        @Test func theOtherFileSystem() async throws {
            try await SharedLab.use { lab in
                let path = try await lab.makeImage("wrong", .ext4)
                let message = try await lab.refusal([path, "--filesystem", "xfs"])
                #expect(message.contains("ext4") && message.contains("xfs"), "\(message)")
                try await lab.machine("rm '\(path)'")
            }
        }
    }
}
