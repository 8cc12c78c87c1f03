import CLinux
import Testing
import VolumeModel

@testable import HostFileSystem

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite(.enabled(if: VolumeFixture.isRoot, "mounting needs root"))
struct NameTests {
    @Test(arguments: VolumeFixture.kinds)
    func createsFindsAndRemovesEveryKind(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, root, creator) = (fixture.volume, fixture.root, fixture.creator)
            var made: [(String, HostVolume.Found, FileKind)] = []
            let file = try volume.create(bytes("file"), in: root, mode: 0o666, creator: creator)
            made.append(("file", file, .regular))
            let kinds: [(String, FileKind)] = [
                ("fifo", .fifo), ("socket", .socket), ("null", .characterDevice),
                ("disk", .blockDevice), ("node", .regular),
            ]
            for (name, kind) in kinds {
                let found = try volume.makeNode(
                    bytes(name), in: root, mode: kind.rawValue | 0o640,
                    deviceMajor: kind.rawValue & 0o020000 != 0 ? 1 : 0,
                    deviceMinor: kind.rawValue & 0o020000 != 0 ? 3 : 0, creator: creator)
                made.append((name, found, kind))
            }
            let link = try volume.makeSymbolicLink(
                bytes("link"), in: root, target: bytes("/nowhere/at all"), creator: creator)
            made.append(("link", link, .symbolicLink))
            let directory = try volume.makeDirectory(
                bytes("directory"), in: root, mode: 0o777, creator: creator)
            for (name, found, kind) in made {
                let again = try volume.lookup(bytes(name), in: root)
                #expect(again.handle == found.handle && again.attributes == found.attributes)
                #expect(found.attributes.kind == kind, "\(name)")
                #expect(found.attributes.userID == 1000 && found.attributes.groupID == 1001)
                #expect(try volume.attributes(found.handle) == found.attributes)
            }
            #expect(file.attributes.mode & 0o777 == 0o644)
            #expect(directory.attributes.mode & 0o7777 == 0o755)
            #expect(try volume.readLink(link.handle) == bytes("/nowhere/at all"))
            #expect(code { _ = try volume.readLink(file.handle) } == 22)
            let null = try volume.lookup(bytes("null"), in: root).attributes
            #expect(null.deviceMajor == 1 && null.deviceMinor == 3)

            let taken = code {
                _ = try volume.create(bytes("file"), in: root, mode: 0o600, creator: creator)
            }
            #expect(taken == 17)
            #expect(code { _ = try volume.lookup(bytes("none"), in: root) } == 2)
            #expect(code { _ = try volume.lookup(bytes("a/b"), in: root) } == 22)
            #expect(code { _ = try volume.lookup([], in: root) } == 2)
            let long = [UInt8](repeating: 97, count: 256)
            #expect(code { _ = try volume.lookup(long, in: root) } == 36)
            #expect(code { try volume.unlink(bytes("directory"), in: root) } == 21)
            #expect(code { try volume.removeDirectory(bytes("file"), in: root) } == 20)
            #expect(try volume.lookup(bytes(".."), in: root).handle == root)

            for (name, found, _) in made {
                try volume.unlink(bytes(name), in: root)
                #expect(code { _ = try volume.attributes(found.handle) } == 116, "\(name)")
            }
            try volume.removeDirectory(bytes("directory"), in: root)
            #expect(code { _ = try volume.attributes(directory.handle) } == 116)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func ownersUmasksAndSetGroupIDDirectories(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, root) = (fixture.volume, fixture.root)
            let shared = try volume.makeDirectory(
                bytes("shared"), in: root, mode: 0o777,
                creator: Creator(userID: 5, groupID: 6, umask: 0)
            ).handle
            var change = AttributeChange()
            change.mode = 0o2777
            change.groupID = 77
            #expect(try volume.setAttributes(shared, change).mode & 0o7777 == 0o2777)
            for umask: UInt32 in [0, 0o027, 0o777] {
                let creator = Creator(userID: 1234, groupID: 4321, umask: umask)
                let name = bytes("f\(umask)")
                let plain = try volume.create(name, in: root, mode: 0o666, creator: creator)
                #expect(plain.attributes.mode & 0o7777 == 0o666 & ~umask)
                #expect(plain.attributes.groupID == 4321)
                let inherited = try volume.create(name, in: shared, mode: 0o666, creator: creator)
                #expect(inherited.attributes.userID == 1234)
                #expect(inherited.attributes.groupID == 77)
                let directory = try volume.makeDirectory(
                    bytes("d\(umask)"), in: shared, mode: 0o755, creator: creator)
                #expect(directory.attributes.groupID == 77)
                #expect(directory.attributes.mode & 0o2000 == 0o2000)
            }
            // A directory that its creator may not even search: capabilities are kept.
            let closed = try volume.makeDirectory(
                bytes("closed"), in: root, mode: 0,
                creator: Creator(userID: 0, groupID: 0, umask: 0)
            ).handle
            let creator = Creator(userID: 1234, groupID: 4321, umask: 0)
            let inside = try volume.create(bytes("f"), in: closed, mode: 0o600, creator: creator)
            #expect(inside.attributes.userID == 1234)
            // A default ACL replaces the umask: user::rwx, group::rwx, other::---.
            var acl: [UInt8] = [2, 0, 0, 0]
            for (tag, permissions) in [(0x01, 7), (0x04, 7), (0x20, 0)] {
                acl += [UInt8(tag), 0, UInt8(permissions), 0, 255, 255, 255, 255]
            }
            try volume.setExtendedAttribute(
                bytes("system.posix_acl_default"), of: closed, to: acl)
            let masked = Creator(userID: 1, groupID: 1, umask: 0o077)
            let byACL = try volume.create(bytes("g"), in: closed, mode: 0o666, creator: masked)
            #expect(byACL.attributes.mode & 0o777 == 0o660)
            // The thread is itself again.
            #expect(covol_thread_set_fsuid(.max) == 0)
            #expect(covol_thread_set_fsgid(.max) == 0)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func renamesByEveryFlag(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, root) = (fixture.volume, fixture.root)
            let (first, second) = (try fixture.create("first"), try fixture.create("second"))
            let taken = code {
                try volume.rename(
                    bytes("first"), in: root, to: bytes("second"), in: root, flags: .noReplace)
            }
            #expect(taken == 17)
            try volume.rename(
                bytes("first"), in: root, to: bytes("second"), in: root, flags: .exchange)
            #expect(try volume.lookup(bytes("first"), in: root).handle == second)
            #expect(try volume.lookup(bytes("second"), in: root).handle == first)
            let directory = try volume.makeDirectory(
                bytes("d"), in: root, mode: 0o755, creator: fixture.creator
            ).handle
            try volume.rename(
                bytes("second"), in: root, to: bytes("third"), in: directory, flags: .noReplace)
            try volume.rename(bytes("first"), in: root, to: bytes("third"), in: directory)
            #expect(code { _ = try volume.attributes(first) } == 116)
            #expect(try volume.lookup(bytes("third"), in: directory).handle == second)
            let whiteout = code {
                try volume.rename(
                    bytes("third"), in: directory, to: bytes("x"), in: root,
                    flags: RenameFlags(rawValue: 4))
            }
            #expect(whiteout == 22)
            let intoItself = code {
                try volume.rename(bytes("d"), in: root, to: bytes("e"), in: directory)
            }
            #expect(intoItself == 22)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func linksAndUnnamedFiles(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, root) = (fixture.volume, fixture.root)
            let file = try fixture.create("file")
            try volume.link(file, to: bytes("other"), in: root)
            #expect(try volume.attributes(file).linkCount == 2)
            try volume.unlink(bytes("file"), in: root)
            #expect(try volume.attributes(file).linkCount == 1)
            let symbolic = try volume.makeSymbolicLink(
                bytes("s"), in: root, target: bytes("x"), creator: fixture.creator)
            try volume.link(symbolic.handle, to: bytes("s2"), in: root)
            #expect(try volume.lookup(bytes("s2"), in: root).handle == symbolic.handle)

            let unnamed = try volume.createUnnamed(
                in: root, mode: 0o666, creator: fixture.creator)
            #expect(unnamed.attributes.linkCount == 0 && unnamed.attributes.userID == 1000)
            try fixture.write(unnamed.handle, at: 0, bytes("text"))
            let taken = code {
                try volume.linkUnnamed(unnamed.handle, to: bytes("other"), in: root)
            }
            #expect(taken == 17)
            try volume.setExtendedAttribute(
                bytes("trusted.covolume.op"), of: unnamed.handle, to: [1, 2])
            try volume.linkUnnamed(unnamed.handle, to: bytes("named"), in: root)
            #expect(try volume.lookup(bytes("named"), in: root).handle == unnamed.handle)
            #expect(try fixture.read(unnamed.handle, at: 0, count: 10) == bytes("text"))
            let twice = code {
                try volume.linkUnnamed(unnamed.handle, to: bytes("again"), in: root)
            }
            #expect(twice == 116)

            let dropped = try volume.createUnnamed(
                in: root, mode: 0o600, creator: fixture.creator
            ).handle
            #expect(try volume.attributes(dropped).sizeBytes == 0)
            volume.forget(dropped)
            #expect(code { _ = try volume.attributes(dropped) } == 116)
        }
    }

    @Test(arguments: VolumeFixture.kinds)
    func readsDirectoriesInPages(_ kind: FileSystemKind) throws {
        try VolumeFixture.run(kind) { fixture in
            let (volume, root) = (fixture.volume, fixture.root)
            let directory = try volume.makeDirectory(
                bytes("d"), in: root, mode: 0o755, creator: fixture.creator
            ).handle
            var expected: Set<String> = [".", ".."]
            for index in 0..<500 {
                let name = "a name of some length \(index)"
                expected.insert(name)
                _ = try volume.create(
                    bytes(name), in: directory, mode: 0o600, creator: fixture.creator)
            }
            var seen: [String] = []
            var cookie: Int64 = 0
            var pages = 0
            while true {
                let page = try volume.readDirectory(directory, cookie: cookie, maximumBytes: 2048)
                guard let last = page.last else { break }
                seen += page.map { String(decoding: $0.name, as: UTF8.self) }
                #expect(page.allSatisfy { $0.kind == ($0.name[0] == 46 ? .directory : .regular) })
                cookie = last.nextCookie
                pages += 1
            }
            #expect(pages > 10)
            #expect(seen.count == expected.count && Set(seen) == expected)
            #expect(
                code { _ = try volume.readDirectory(directory, cookie: -1, maximumBytes: 10) } == 22
            )
            let file = try fixture.create("file")
            #expect(
                code { _ = try volume.readDirectory(file, cookie: 0, maximumBytes: 10) } == 20)
        }
    }
}
