import CLinux
import Testing
import VolumeModel

@testable import HostFileSystem

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite(.enabled(if: VolumeFixture.isRoot, "mounting needs root"))
struct AttributeTests {
    /// One file of each kind.
    private func makeAll(_ fixture: VolumeFixture) throws -> [(name: String, handle: FileHandle)] {
        let (volume, root, creator) = (fixture.volume, fixture.root, fixture.creator)
        var made: [(name: String, handle: FileHandle)] = [("file", try fixture.create("file"))]
        for (name, kind) in [
            ("fifo", FileKind.fifo), ("socket", .socket), ("character", .characterDevice),
            ("block", .blockDevice),
        ] {
            let found = try volume.makeNode(
                bytes(name), in: root, mode: kind.rawValue | 0o600, creator: creator)
            made.append((name, found.handle))
        }
        let link = try volume.makeSymbolicLink(
            bytes("link"), in: root, target: bytes("file"), creator: creator)
        let directory = try volume.makeDirectory(
            bytes("directory"), in: root, mode: 0o700, creator: creator)
        return made + [("link", link.handle), ("directory", directory.handle)]
    }

    @Test(arguments: VolumeFixture.kinds)
    func changesEveryKindOfFile(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            let made = try makeAll(fixture)
            let target = try volume.attributes(made[0].handle)
            for (name, handle) in made.reversed() {
                var change = AttributeChange()
                change.userID = 70_000
                change.groupID = 70_001
                change.accessTime = .to(Timestamp(seconds: 1_000_000_000, nanoseconds: 123_456_789))
                change.modificationTime = .to(Timestamp(seconds: -5, nanoseconds: 999_999_999))
                if name != "link" { change.mode = 0o1751 }
                let after = try volume.setAttributes(handle, change)
                #expect(after == (try volume.attributes(handle)), "\(name)")
                #expect(after.userID == 70_000 && after.groupID == 70_001, "\(name)")
                #expect(after.accessTime.nanoseconds == 123_456_789, "\(name)")
                #expect(after.modificationTime == Timestamp(seconds: -5, nanoseconds: 999_999_999))
                if name != "link" { #expect(after.mode & 0o7777 == 0o1751, "\(name)") }
                // A change of the link is not one of its target.
                if name == "link" { #expect(try volume.attributes(made[0].handle) == target) }

                var now = AttributeChange()
                now.modificationTime = .now
                let later = try volume.setAttributes(handle, now)
                #expect(later.modificationTime.seconds > 1_700_000_000)
                #expect(later.accessTime == after.accessTime)
            }
            var size = AttributeChange()
            size.sizeBytes = 5
            #expect(code { try volume.setAttributes(made[0].handle, size) } == 22)
            #expect(try volume.setAttributes(made[0].handle, AttributeChange()).sizeBytes == 0)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func clearsSetIDBits(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, file) = (fixture.volume, try fixture.create("file"))
            var clear = AttributeChange()
            clear.clearsSetID = true
            for (before, after): (UInt32, UInt32) in [
                (0o6755, 0o755), (0o6745, 0o2745), (0o4644, 0o644), (0o2711, 0o711),
            ] {
                var change = AttributeChange()
                change.mode = before
                // The owner's change takes the bits away; the mode that comes with it gives them.
                change.userID = 12
                #expect(try volume.setAttributes(file, change).mode & 0o7777 == before)
                #expect(try volume.setAttributes(file, clear).mode & 0o7777 == after)
            }
            // vfs_cap_data, revision 2, cap_net_raw permitted.
            let capability: [UInt8] = [0, 0, 0, 2, 0, 32] + [UInt8](repeating: 0, count: 14)
            let name = bytes("security.capability")
            try volume.setExtendedAttribute(name, of: file, to: capability)
            try volume.setAttributes(file, clear)
            #expect(code { _ = try volume.extendedAttribute(name, of: file) } == 61)
            #expect(
                try volume.setAttributes(fixture.root, clear).mode
                    == volume.attributes(fixture.root).mode)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func extendedAttributesOfEveryKindOfFile(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let volume = fixture.volume
            for (name, handle) in try makeAll(fixture) {
                let attribute = bytes("trusted.covolume.test")
                try volume.setExtendedAttribute(attribute, of: handle, to: bytes(name))
                #expect(try volume.extendedAttribute(attribute, of: handle) == bytes(name))
                #expect(try volume.extendedAttributeNames(of: handle) == [attribute], "\(name)")
                try volume.removeExtendedAttribute(attribute, of: handle)
                #expect(code { _ = try volume.extendedAttribute(attribute, of: handle) } == 61)
                #expect(code { try volume.removeExtendedAttribute(attribute, of: handle) } == 61)
                let user = code {
                    try volume.setExtendedAttribute(bytes("user.a"), of: handle, to: [1])
                }
                #expect(user == (name == "file" || name == "directory" ? 0 : 1), "\(name)")
            }
            let file = try volume.lookup(bytes("file"), in: fixture.root).handle
            let name = bytes("user.a")
            let big = VolumeFixture.pattern(kind == .xfs ? 65_536 : 3000, seed: 1)
            try volume.setExtendedAttribute(name, of: file, to: big, setting: .replace)
            #expect(try volume.extendedAttribute(name, of: file) == big)
            let create = code {
                try volume.setExtendedAttribute(name, of: file, to: [], setting: .create)
            }
            #expect(create == 17)
            let replace = code {
                try volume.setExtendedAttribute(
                    bytes("user.b"), of: file, to: [], setting: .replace)
            }
            #expect(replace == 61)
            try volume.setExtendedAttribute(bytes("user.b"), of: file, to: [], setting: .create)
            #expect(try volume.extendedAttribute(bytes("user.b"), of: file).isEmpty)
            let tooBig = [UInt8](repeating: 0, count: 65_537)
            #expect(code { try volume.setExtendedAttribute(name, of: file, to: tooBig) } == 7)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func statistics(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let before = try fixture.volume.statistics()
            #expect(before.blockSizeBytes == 4096 && before.nameLengthMaximum == 255)
            #expect(before.blocks * 4096 <= 320 << 20 && before.blocks * 4096 > 200 << 20)
            let file = try fixture.create("file")
            try fixture.volume.allocate(file, mode: [], ByteRange(start: 0, end: 10 << 20))
            let after = try fixture.volume.statistics()
            #expect(after.blocksAvailable + 2560 <= before.blocksAvailable)
        }
    }
}
