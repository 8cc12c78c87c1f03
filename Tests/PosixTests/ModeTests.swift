import Glibc
import Testing

extension PosixTests {
    @Suite struct ModeTests {
        @Test(arguments: Place.all) func chmod(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in CreationTests.kinds where kind != .link {
                    r.make("x", kind)
                    for mode in [0, 0o111, 0o644, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o7777] {
                        c.changes(["x": .ctime, ".": []], "chmod") { r.chmod("x", mode).ok() }
                        c.equal(r.status("x").permissions, mode, "mode of a \(kind)")
                        c.equal(r.status("x").kind, kind, "type after chmod")
                    }
                    c.changes(["x": []], "failing chmod") {
                        c.alice.chmod("x", 0o777).fails(EPERM)
                    }
                    r.remove("x")
                }
                r.create("f")
                r.symlink("f", "l").ok()
                r.chmod("l", 0o611).ok()
                c.equal(r.status("f").permissions, 0o611, "chmod follows")
                c.equal(r.status("l").permissions, 0o777, "a link's own mode")
                r.call(
                    "fchmodat2", .workingDirectory, .text("l"), .number(0o600),
                    .flags(Flags.symlinkNoFollow)
                ).fails(EOPNOTSUPP)
                let file = r.opened("f", O_RDONLY)
                r.fchmod(file, 0o640).ok()
                c.equal(r.status("f").permissions, 0o640, "fchmod")
                // A change takes no right from who has the file open.
                r.chmod("f", 0o666).ok()
                let open = c.alice.opened("f", O_RDWR)
                r.chmod("f", 0).ok()
                c.alice.write(open, [1, 2], offset: 0).returns(2)
                c.alice.read(open, 2, offset: 0).brings([1, 2])
                c.alice.ftruncate(open, 1).ok()
                c.alice.open("f", O_RDONLY).fails(EACCES)
            }
        }

        @Test(arguments: Place.all) func setIdBits(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.create("f")
                r.chown("f", User.alice.uid, 65510).ok()
                // The owner is not in the file's group: no set-group-id for it.
                c.alice.chmod("f", 0o6755).ok()
                c.equal(r.status("f").permissions, 0o4755, "set-group-id of a foreign group")
                let member = c.caller(User(uid: User.alice.uid, gid: 65501, groups: [65510]))
                member.chmod("f", 0o6755).ok()
                c.equal(r.status("f").permissions, 0o6755, "set-group-id of an own group")
                // What others do to the contents takes both away; what root does, does not.
                typealias Change = (String, (Caller) -> Void)
                let bytes: [UInt8] = [1]
                let changes: [Change] = [
                    (
                        "write",
                        {
                            let f = $0.opened("f"); $0.write(f, bytes, offset: 0).ok(); $0.close(f)
                        }
                    ),
                    (
                        "append",
                        {
                            let f = $0.opened("f", O_WRONLY | O_APPEND)
                            $0.writeNext(f, bytes).ok()
                            $0.close(f)
                        }
                    ),
                    ("truncate", { $0.truncate("f", 0).ok() }),
                    ("grow", { $0.truncate("f", 9000).ok() }),
                    (
                        "ftruncate",
                        {
                            let f = $0.opened("f"); $0.ftruncate(f, 1).ok(); $0.close(f)
                        }
                    ),
                    ("O_TRUNC", { $0.close($0.opened("f", O_WRONLY | O_TRUNC)) }),
                    (
                        "fallocate",
                        {
                            let f = $0.opened("f")
                            $0.fallocate(f, 0, 0, 4096).ok()
                            $0.close(f)
                        }
                    ),
                    (
                        "write in place",
                        {
                            let f = $0.opened("f")
                            $0.write(f, [UInt8](repeating: 7, count: 4096), offset: 0).ok()
                            $0.close(f)
                        }
                    ),
                ]
                for (name, change) in changes {
                    r.fill("f", [UInt8](repeating: 3, count: 5000))
                    r.chmod("f", 0o6777).ok()
                    change(r)
                    if name != "fallocate" {
                        c.equal(r.status("f").permissions, 0o6777, "root's \(name)")
                    }
                    r.fill("f", [UInt8](repeating: 3, count: 5000))
                    r.chmod("f", 0o6777).ok()
                    change(c.bob)
                    c.equal(r.status("f").permissions, 0o777, "bob's \(name)")
                    // Set-group-id without the group's x is no privilege; it stays.
                    if name == "write" {
                        r.chmod("f", 0o2767).ok()
                        let keeper = c.caller(User(uid: 65504, gid: 65510))
                        change(keeper)
                        c.equal(r.status("f").permissions, 0o2767, "a member's \(name)")
                    }
                }
                // Also when the file was opened before the bits were set.
                let open = c.bob.opened("f")
                c.bob.write(open, bytes, offset: 0).ok()
                r.chmod("f", 0o4777).ok()
                c.bob.write(open, bytes, offset: 0).ok()
                c.equal(r.status("f").permissions, 0o777, "a write by an earlier open")
            }
        }

        @Test(arguments: Place.all) func chown(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in CreationTests.kinds {
                    r.make("x", kind)
                    c.changes(["x": .ctime, ".": []], "chown") {
                        r.chown("x", 65501, 65502, follow: false).ok()
                    }
                    c.equal([r.status("x").uid, r.status("x").gid], [65501, 65502], "owners")
                    r.chown("x", -1, 7, follow: false).ok()
                    c.equal([r.status("x").uid, r.status("x").gid], [65501, 7], "group only")
                    r.chown("x", 8, -1, follow: false).ok()
                    c.equal([r.status("x").uid, r.status("x").gid], [8, 7], "owner only")
                    c.alice.chown("x", User.alice.uid, -1, follow: false).fails(EPERM)
                    c.alice.chown("x", -1, User.alice.gid, follow: false).fails(EPERM)
                    r.remove("x")
                }
                let owner = c.caller(User(uid: 65501, gid: 65501, groups: [65510]))
                r.create("f")
                r.chown("f", 65501, 65501).ok()
                owner.chown("f", -1, 65510).ok("to a group of the owner's")
                owner.chown("f", 65501, 65501).ok("to itself")
                owner.chown("f", -1, 65599).fails(EPERM)
                owner.chown("f", 65502, -1).fails(EPERM)
                owner.chown("f", 0, 0).fails(EPERM)
                r.symlink("f", "l").ok()
                r.chown("l", 5, 6).ok()
                c.equal(r.status("f").uid, 5, "chown follows")
                c.equal(r.status("l").uid, 0, "the link's own")
                let file = r.opened("f")
                r.fchown(file, 65501, 65501).ok()
                c.equal(r.status("f").uid, 65501, "fchown")
                // Any change of owner takes the set-id bits of a file, not those of a directory.
                for (caller, uid, gid) in [(r, 65501, 65501), (owner, -1, 65510)] {
                    r.chmod("f", 0o6555).ok()
                    caller.chown("f", uid, gid).ok()
                    c.equal(r.status("f").permissions, 0o555, "set-id bits after chown")
                }
                r.mkdir("d").ok()
                r.chown("d", 65501, 65501).ok()
                r.chmod("d", 0o6755).ok()
                owner.chown("d", -1, 65510).ok()
                c.equal(r.status("d").permissions, 0o6755, "a directory's bits")
                r.chown("f", 4_294_967_294, 4_294_967_294).ok()
                c.equal(r.status("f").uid, 4_294_967_294, "the largest uid")
            }
        }

        @Test(arguments: Place.all) func times(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in CreationTests.kinds {
                    r.make("x", kind)
                    let ctime = r.status("x").ctime
                    c.pause()
                    r.setTimes("x", (100, 123_456_789), (1_700_000_000, 999_999_999), follow: false)
                        .ok()
                    let status = r.status("x")
                    c.equal(
                        status.atime, .init(seconds: 100, nanoseconds: 123_456_789), "atime")
                    c.equal(
                        status.mtime, .init(seconds: 1_700_000_000, nanoseconds: 999_999_999),
                        "mtime of a \(kind)")
                    c.expect(status.ctime > ctime, "ctime moves with utimensat")
                    r.setTimes("x", (5, 0), (0, Flags.omit), follow: false).ok()
                    c.equal(r.status("x").mtime, status.mtime, "mtime omitted")
                    c.equal(r.status("x").atime, .init(seconds: 5, nanoseconds: 0), "atime alone")
                    r.setTimes("x", (0, Flags.omit), (6, 7), follow: false).ok()
                    c.equal(r.status("x").atime, .init(seconds: 5, nanoseconds: 0), "atime omitted")
                    c.equal(r.status("x").mtime, .init(seconds: 6, nanoseconds: 7), "mtime alone")
                    c.changes(["x": .both], "utimensat now") {
                        r.setTimes("x", nil, nil, follow: false).ok()
                    }
                    c.changes(["x": []], "utimensat of nothing") {
                        r.setTimes("x", (0, Flags.omit), (0, Flags.omit), follow: false).ok()
                    }
                    r.remove("x")
                }
                r.create("f", 0o644)
                for seconds in [0, -1, -2_000_000_000, 2_147_483_648, 4_294_967_296, 8_000_000_000]
                {
                    r.setTimes("f", (seconds, 1), (seconds, 2)).ok()
                    let mtime = FileStatus.Time(seconds: Int64(seconds), nanoseconds: 2)
                    c.equal(r.status("f").mtime, mtime, "mtime \(seconds)")
                }
                r.setTimes("f", (0, 1_000_000_000), (0, 0)).fails(EINVAL)
                r.setTimes("f", (0, 0), (0, -1)).fails(EINVAL)
                // The owner sets any time; who may write, only now; others nothing.
                r.chown("f", User.alice.uid, User.alice.gid).ok()
                c.alice.setTimes("f", (1, 2), (3, 4)).ok()
                c.alice.setTimes("f", nil, nil).ok()
                c.bob.setTimes("f", nil, nil).fails(EACCES)
                c.bob.setTimes("f", (1, 2), (3, 4)).fails(EPERM)
                r.chmod("f", 0o666).ok()
                c.bob.setTimes("f", nil, nil).ok()
                c.bob.setTimes("f", (0, Flags.now), (0, Flags.now)).ok()
                c.bob.setTimes("f", (1, 2), (3, 4)).fails(EPERM)
                c.bob.setTimes("f", (0, Flags.now), (0, Flags.omit)).fails(EPERM)
                c.bob.setTimes("f", (0, Flags.omit), (0, Flags.omit)).ok()
            }
        }

        /// Which operation moves which time of a file.
        @Test(arguments: Place.all) func timesOfData(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.fill("f", PosixContext.pattern(20_000))
                let file = r.opened("f")
                c.changes(["f": .both, ".": []], "write") {
                    r.write(file, [1], offset: 5).ok()
                }
                c.changes(["f": .both], "writing whole blocks in place") {
                    r.write(file, [UInt8](repeating: 1, count: 8192), offset: 4096).ok()
                }
                c.changes(["f": .both], "extending") { r.write(file, [1], offset: 30_000).ok() }
                c.changes(["f": []], "write of nothing") { r.write(file, [], offset: 5).ok() }
                c.changes(["f": []], "read") { r.read(file, 100, offset: 0).ok() }
                c.changes(["f": []], "open and close") { r.close(r.opened("f", O_RDWR)) }
                c.changes(["f": []], "fsync") { r.call("fsync", .number(file)).ok() }
                c.changes(["f": .both], "ftruncate") { r.ftruncate(file, 10_000).ok() }
                c.changes(["f": .both], "truncate") { r.truncate("f", 40_000).ok() }
                c.changes(["f": .both], "O_TRUNC") { r.close(r.opened("f", O_RDWR | O_TRUNC)) }
                c.changes(["f": .both], "fallocate") { r.fallocate(file, 0, 0, 65536).ok() }
                c.changes(["f": .both], "punch") {
                    r.fallocate(file, Flags.punchHole, 0, 8192).ok()
                }
                c.changes(["f": .ctime], "setxattr") { r.setAttribute("f", "user.a", [1]).ok() }
                c.changes(["f": .ctime], "removexattr") { r.removeAttribute("f", "user.a").ok() }
                // Seen at once by path and by descriptor, with the write still unreported.
                r.write(file, [UInt8](repeating: 2, count: 4096), offset: 16384).ok()
                c.equal(r.status(of: file).mtime, r.status("f").mtime, "mtime both ways")
                r.setTimes("f", (1, 1), (2, 2)).ok()
                r.close(file)
                c.equal(
                    r.status("f").mtime, .init(seconds: 2, nanoseconds: 2),
                    "close moves no time that was set after the write")
            }
        }
    }
}
