import Glibc
import Testing
import VolumeModel

@testable import BlockDevice

@Suite(.enabled(if: ImageFixture.isRoot, "loop devices and mounts need root"))
struct InspectorTests {
    @Test func tellsBlankFromUnrecognised() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image()
        let blank = try DeviceInspector.inspect(image)
        #expect(blank.content == .blank && blank.holders.isEmpty && !blank.isBlockDevice)
        #expect(blank.sizeBytes == 320 << 20 && blank.logicalBlockSizeBytes == 512)
        #expect(blank.formatting(mayOverwrite: false).isSuitable)
        #expect(reasons(blank.adoption).contains("--format"))
        for offset: UInt64 in [1 << 19, (320 << 20) - 1] {
            try fixture.write([1], to: image, at: offset)
            let found = try DeviceInspector.inspect(image)
            #expect(found.content == .unrecognised)
            #expect(!found.adoption.isSuitable)
            #expect(!found.formatting(mayOverwrite: false).isSuitable)
            #expect(found.formatting(mayOverwrite: true).isSuitable)
            try fixture.write([0], to: image, at: offset)
        }
        let short = try fixture.image("short", sizeBytes: 100)
        #expect(reasons(try DeviceInspector.inspect(short).adoption).contains("only 100 bytes"))
        #expect(throws: BlockDeviceError.self) {
            try DeviceInspector.inspect(fixture.directory)
        }
        #expect(throws: BlockDeviceError.self) {
            try DeviceInspector.inspect(fixture.directory + "/none")
        }
    }

    @Test(arguments: FileSystemKind.allCases)
    func adoptsWhatItFormatted(_ kind: FileSystemKind) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image()
        try FileSystemMaker.format(image, kind: kind, label: "images")
        let onFile = try DeviceInspector.inspect(image)
        let found = try #require(onFile.fileSystem)
        #expect(found.kind == kind && found.label == "images" && found.blockSizeBytes == 4096)
        #expect(found.sizeBytes == 320 << 20 && found.sectorSizeBytes == 4096)
        #expect(found.features.contains(kind == .xfs ? "reflink" : "extent"))
        #expect(onFile.adoption == .suitable(notes: []))
        #expect(reasons(onFile.formatting(mayOverwrite: false)).contains("images"))
        try fixture.shell("test \"$(blkid -p -o value -s UUID \(image))\" = \(found.uuid)")

        let loop = try LoopDevice(attaching: image)
        let onDevice = try DeviceInspector.inspect(loop.path)
        #expect(onDevice.fileSystem == found && onDevice.isBlockDevice)
        #expect(onDevice.logicalBlockSizeBytes == 4096 && onDevice.holders.isEmpty)
        // The image is now held by the loop device.
        let held = try DeviceInspector.inspect(image)
        #expect(held.holders.count == 1 && held.holders[0].contains(loop.path))
        #expect(reasons(held.adoption).contains(loop.path))
        try loop.detach()
        #expect(try DeviceInspector.inspect(image).holders.isEmpty)
    }

    @Test func refusesADeviceInUse() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 32 << 20)
        try FileSystemMaker.format(image, kind: .ext4)
        let loop = try LoopDevice(attaching: image)
        let place = fixture.directory + "/mount"
        try fixture.shell("mkdir \(place) && mount \(loop.path) \(place)")
        let mounted = try DeviceInspector.inspect(loop.path)
        let image2 = try DeviceInspector.inspect(image)
        try fixture.shell("umount \(place)")
        #expect(mounted.holders == ["it is mounted at \(place)"])
        #expect(image2.holders == ["\(loop.path) is attached to it, mounted at \(place)"])
        #expect(!mounted.adoption.isSuitable)
        #expect(!mounted.formatting(mayOverwrite: true).isSuitable)

        let holder = try OpenFile(loop.path, flags: O_RDONLY | O_EXCL)
        let held = try DeviceInspector.inspect(loop.path)
        #expect(held.holders.count == 1 && held.holders[0].contains("exclusively"))
        _ = consume holder
        let over = try LoopDevice(attaching: loop.path, isReadOnly: true)
        #expect(
            try DeviceInspector.inspect(loop.path).holders == ["\(over.path) is attached to it"])
        try over.detach()
        #expect(try DeviceInspector.inspect(loop.path).adoption.isSuitable)
        try loop.detach()
    }

    @Test func namesWhatElseIsThere() throws {
        let fixture = try ImageFixture()
        let swap = try fixture.image("swap", sizeBytes: 16 << 20)
        try fixture.shell("mkswap \(swap)")
        #expect(try DeviceInspector.inspect(swap).content == .other(["swap space"]))

        let dos = try fixture.image("dos", sizeBytes: 16 << 20)
        // One partition of type 0x83 from sector 2048 on, and the boot signature.
        try fixture.write(
            [0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0], to: dos, at: 446)
        try fixture.write([0x55, 0xaa], to: dos, at: 510)
        #expect(try DeviceInspector.inspect(dos).content == .other(["a partition table (dos)"]))

        let lvm = try fixture.image("lvm", sizeBytes: 16 << 20)
        try fixture.write(LVMLabel.bytes, to: lvm, at: 512)
        let physical = try DeviceInspector.inspect(lvm)
        #expect(physical.content == .other(["an LVM physical volume (LVM2_member)"]))
        #expect(reasons(physical.adoption).contains("LVM"))

        let luks = try fixture.image("luks", sizeBytes: 16 << 20)
        try fixture.write(Array("LUKS".utf8) + [0xba, 0xbe, 0, 1], to: luks, at: 0)
        #expect(
            try DeviceInspector.inspect(luks).content == .other(["LUKS encryption (crypto_LUKS)"]))

        let ext2 = try fixture.image("ext2", sizeBytes: 16 << 20)
        try fixture.shell("mkfs.ext2 -q -F -L old \(ext2)")
        #expect(try DeviceInspector.inspect(ext2).content == .other(["ext2 labelled \"old\""]))

        let btrfs = try fixture.image("btrfs", sizeBytes: 128 << 20)
        try fixture.write(Array("_BHRfS_M".utf8), to: btrfs, at: 0x10040)
        #expect(try DeviceInspector.inspect(btrfs).content == .other(["btrfs"]))

        // An ext4 with a partition table in its first sector is two things at once.
        let both = try fixture.image("both", sizeBytes: 32 << 20)
        try FileSystemMaker.format(both, kind: .ext4)
        try fixture.write(
            [0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0], to: both, at: 446)
        try fixture.write([0x55, 0xaa], to: both, at: 510)
        let ambiguous = try DeviceInspector.inspect(both)
        #expect(!ambiguous.adoption.isSuitable)
        #expect(reasons(ambiguous.adoption).contains("partition table"))
    }
}

/// The label sector of an LVM physical volume (lib/format_text/layout.h of LVM2).
private enum LVMLabel {
    static var bytes: [UInt8] {
        var sector = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: [UInt8], _ offset: Int) {
            sector.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
        put(Array("LABELONE".utf8), 0)
        put([1], 8)
        put([32], 20)
        put(Array("LVM2 001".utf8), 24)
        put(Array("0123456789abcdef0123456789abcdef".utf8), 32)
        var sum: UInt32 = 0xf597_a6cf
        for byte in sector[20...] {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0xedb8_8320 : 0) }
        }
        put((0..<4).map { UInt8(truncatingIfNeeded: sum >> UInt32(8 * $0)) }, 16)
        return sector
    }
}
