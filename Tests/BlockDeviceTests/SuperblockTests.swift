import Testing
import VolumeModel

@testable import BlockDevice

/// The cases at the end of the design's section 7.
@Suite(.enabled(if: ImageFixture.isRoot, "loop devices need root"))
struct SuperblockTests {
    @Test(arguments: [
        ("-b 1024", "blocks are 1024"),
        ("-b 4096 -O ^has_journal", "no journal"),
        ("-b 4096 -O ^extent,^64bit", "not mapped by extents"),
    ])
    func refusesExt4(_ options: String, _ reason: String) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 64 << 20)
        try fixture.shell("mkfs.ext4 -q -F \(options) \(image)")
        let found = try DeviceInspector.inspect(image)
        #expect(reasons(found.adoption).contains(reason), "\(found.content)")
    }

    @Test(arguments: [
        ("tune2fs -O read-only", "read-only"),
        ("tune2fs -o journal_data", "data=journal"),
        ("tune2fs -E mount_opts=data=journal", "data=journal"),
        ("debugfs -w -R 'set_super_value state 3'", "e2fsck"),
    ])
    func refusesChangedExt4(_ command: String, _ reason: String) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 64 << 20)
        try FileSystemMaker.format(image, kind: .ext4)
        try fixture.shell("\(command) \(image)")
        #expect(reasons(try DeviceInspector.inspect(image).adoption).contains(reason))
    }

    @Test func refusesAnExternalJournal() throws {
        let fixture = try ImageFixture()
        let journal = try fixture.image("journal", sizeBytes: 16 << 20)
        let image = try fixture.image(sizeBytes: 64 << 20)
        let loop = try LoopDevice(attaching: journal)
        try fixture.shell("mke2fs -q -F -b 4096 -O journal_dev \(loop.path)")
        try fixture.shell("mkfs.ext4 -q -F -b 4096 -J device=\(loop.path) \(image)")
        try loop.detach()
        let found = try DeviceInspector.inspect(image)
        #expect(reasons(found.adoption).contains("journal is on another device"))
        let content = try DeviceInspector.inspect(journal).content
        #expect(content == .other(["the external journal of an ext4"]))
    }

    @Test func notesWhatItLetsPass() throws {
        let fixture = try ImageFixture()
        let image = try fixture.image(sizeBytes: 64 << 20)
        try fixture.shell(
            "mkfs.ext4 -q -F -b 4096 -O inline_data,encrypt,verity,bigalloc,mmp \(image)")
        guard case .suitable(let notes) = try DeviceInspector.inspect(image).adoption else {
            Issue.record("refused")
            return
        }
        for word in ["inline_data", "encrypted", "fs-verity", "bigalloc", "multi-mount"] {
            #expect(notes.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test(arguments: [
        ("-b size=1024", "blocks are 1024"),
        ("-m crc=0", "XFS version 4"),
        ("-l logdev=OTHER,size=64m", "log is on another device"),
        ("-m reflink=0 -r rtdev=OTHER", "realtime"),
    ])
    func refusesXFS(_ options: String, _ reason: String) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image()
        let other = try fixture.image("other", sizeBytes: 128 << 20)
        let command = "mkfs.xfs -q \(options) \(image)".split(separator: "OTHER")
        try fixture.shell(command.joined(separator: other))
        #expect(reasons(try DeviceInspector.inspect(image).adoption).contains(reason))
    }

    @Test(arguments: [
        (218, 0x02, "zoned"), (219, 0x31, "xfs_repair"), (217, 0x80, "does not know"),
        (213, 0x80, "does not know"), (126, 1, "did not finish"), (8, 0x7f, "shrunk"),
    ])
    func refusesPatchedXFS(_ offset: Int, _ value: Int, _ reason: String) throws {
        let fixture = try ImageFixture()
        let image = try fixture.image()
        try FileSystemMaker.format(image, kind: .xfs)
        var bytes = try fixture.read(image, at: 0, count: 512)
        func refusals() throws -> String {
            let found = XFSSuperblock.describe(
                bytes, deviceSizeBytes: 320 << 20, logicalBlockSizeBytes: 512)
            return try #require(found).refusals.joined(separator: "\n")
        }
        #expect(try refusals().isEmpty)
        bytes[offset] = UInt8(value)
        #expect(try refusals().contains(reason))
    }

    @Test func survivesAnyBytes() {
        var state: UInt64 = 42
        for _ in 0..<2000 {
            var bytes = (0..<1024).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            bytes.replaceSubrange(0..<4, with: Array("XFSB".utf8))
            bytes.replaceSubrange(0x38..<0x3a, with: [0x53, 0xef])
            _ = XFSSuperblock.describe(bytes, deviceSizeBytes: 1, logicalBlockSizeBytes: 512)
            _ = Ext4Superblock.describe(bytes, deviceSizeBytes: 1, logicalBlockSizeBytes: 512)
        }
    }
}
