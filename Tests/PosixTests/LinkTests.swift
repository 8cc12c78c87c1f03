import Glibc
import Testing

extension PosixTests {
    @Suite struct LinkTests {
        @Test(arguments: Place.all) func link(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("d").ok()
                for kind in CreationTests.kinds where kind != .directory {
                    let (one, two, three) = ("\(kind)", "\(kind)-2", "d/\(kind)-3")
                    r.make(one, kind)
                    let inode = r.status(one).inode
                    c.changes([one: .ctime, ".": .both], "link") { r.link(one, two).ok() }
                    c.changes([one: .ctime, "d": .both], "link") { r.link(two, three).ok() }
                    for name in [one, two, three] {
                        c.equal(r.status(name).links, 3, "links of \(name)")
                        c.equal(r.status(name).inode, inode, "inode of \(name)")
                    }
                    c.changes([two: .ctime, ".": .both], "unlink") { r.unlink(one).ok() }
                    r.stat(one).fails(ENOENT)
                    c.equal(r.status(two).links, 2, "links after unlink")
                    r.unlink(two).ok()
                    c.equal(r.status(three).links, 1, "links of the last")
                    r.unlink(three).ok()
                }
                r.link("d", "e").fails(EPERM)
                r.create("f")
                r.link("f", "f").fails(EEXIST)
                r.link("f", "d").fails(EEXIST)
                r.link("missing", "g").fails(ENOENT)
                r.symlink("f", "l").ok()
                r.link("l", "link-to-link").ok()
                c.equal(r.status("link-to-link").kind, .link, "link(2) does not follow")
                r.link("l", "followed", flags: Flags.symlinkFollow).ok()
                c.equal(r.status("followed").inode, r.status("f").inode, "AT_SYMLINK_FOLLOW")
                r.fill("f", [1, 2, 3])
                r.contains("followed", [1, 2, 3])
                r.chmod("followed", 0o600).ok()
                c.equal(r.status("f").permissions, 0o600, "one inode, one mode")
                c.alice.link("f", "nope").fails(EACCES, EPERM)
                r.link("f", "/proc/x").fails(EXDEV, ENOENT)
                r.link("f", "/dev/shm/covol-posix-never").fails(EXDEV)
            }
        }

        @Test(arguments: Place.all) func unlink(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in CreationTests.kinds where kind != .directory {
                    r.make("x", kind)
                    c.changes([".": .both], "unlink of a \(kind)") { r.unlink("x").ok() }
                    r.stat("x").fails(ENOENT)
                    r.unlink("x").fails(ENOENT)
                }
                r.mkdir("d").ok()
                c.changes([".": [], "d": []], "failing unlink") { r.unlink("d").fails(EISDIR) }
                r.create("d/f")
                r.unlink("d/f/").fails(ENOTDIR)
                r.unlink("d/f/x").fails(ENOTDIR)
                c.alice.unlink("d/f").fails(EACCES)
                r.chmod("d", 0o777).ok()
                c.alice.unlink("d/f").ok("the directory's right counts, not the file's")
                r.symlink("d", "l").ok()
                r.unlink("l").ok()
                c.equal(r.status("d").kind, .directory, "unlink does not follow")
            }
        }

        @Test(arguments: Place.all) func rmdir(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("d").ok()
                for kind in CreationTests.kinds {
                    r.make("d/x", kind)
                    c.changes([".": [], "d": []], "failing rmdir") {
                        r.rmdir("d").fails(ENOTEMPTY, EEXIST)
                    }
                    if kind != .directory { r.rmdir("d/x").fails(ENOTDIR) }
                    r.remove("d/x")
                }
                r.rmdir("d/.").fails(EINVAL)
                r.mkdir("d/e").ok()
                r.rmdir("d/e/..").fails(ENOTEMPTY)
                r.rmdir("d/e/").ok()
                c.alice.rmdir("d").fails(EACCES)
                r.symlink("d", "l").ok()
                r.rmdir("l").fails(ENOTDIR)
                c.changes([".": .both], "rmdir") { r.rmdir("d").ok() }
                r.rmdir("d").fails(ENOENT)
                r.mkdir("busy").ok()
                let mover = c.another()
                mover.chdir("busy").ok()
                r.rmdir("busy").ok("a working directory is no obstacle")
                mover.open("new", O_CREAT | O_RDWR).fails(ENOENT)
                mover.mkdir("new").fails(ENOENT)
                c.equal(mover.status(".").links, 0, "links of a removed directory")
                mover.open("..").ok("the parent of a removed directory")
                mover.call("getcwd", .room(4096), .number(4096)).fails(ENOENT)
            }
        }

        /// In a sticky directory only the owner of the file, of the directory, and root remove.
        @Test(arguments: Place.all) func stickyDirectories(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("t").ok()
                r.chmod("t", 0o1777).ok()
                for kind in CreationTests.kinds {
                    r.make("t/x", kind)
                    r.chown("t/x", User.alice.uid, User.alice.gid, follow: false).ok()
                    r.make("t/y", kind)
                    r.chown("t/y", User.bob.uid, User.bob.gid, follow: false).ok()
                    let bob = c.bob
                    if kind == .directory {
                        bob.rmdir("t/x").fails(EPERM, EACCES)
                    } else {
                        bob.unlink("t/x").fails(EPERM, EACCES)
                    }
                    bob.rename("t/x", "t/z").fails(EPERM, EACCES)
                    bob.rename("t/y", "t/x").fails(EPERM, EACCES)
                    bob.rename("t/y", "t/x", flags: Flags.exchange).fails(EPERM, EACCES)
                    bob.rename("t/y", "t/z").ok()
                    bob.rename("t/z", "t/y").ok()
                    c.alice.rename("t/x", "t/w").ok()
                    c.alice.rename("t/w", "t/x").ok()
                    // The directory's owner may.
                    r.chown("t", User.bob.uid, User.bob.gid).ok()
                    bob.rename("t/x", "t/z").ok()
                    r.chown("t", 0, 0).ok()
                    r.remove("t/z")
                    r.remove("t/y")
                }
            }
        }

        @Test(arguments: Place.all) func symbolicLinks(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for target in ["a", "../..", "/no/where", String(repeating: "x", count: 1000), " "]
                {
                    r.symlink(target, "l").ok()
                    r.readlink("l").brings(Array(target.utf8))
                    c.equal(Int(r.status("l").size), target.utf8.count, "size of the link")
                    r.unlink("l").ok()
                }
                // XFS takes up to 1023 bytes, ext4 a block's.
                r.symlink(String(repeating: "y", count: 4096), "l").fails(ENAMETOOLONG)
                r.symlink("", "l").fails(ENOENT)
                r.symlink("target", "l").ok()
                r.readlink("l", room: 3).brings(Array("tar".utf8))
                r.call("readlinkat", .workingDirectory, .text("l"), .room(1), .number(0))
                    .fails(EINVAL)
                r.stat("l", follow: true).fails(ENOENT)
                r.create("target")
                c.equal(
                    r.status("l", follow: true).inode, r.status("target").inode, "following")
                r.readlink("target").fails(EINVAL)
                r.mkdir("d").ok()
                r.readlink("d").fails(EINVAL)
                r.symlink("d", "ld").ok()
                r.create("ld/f")
                c.equal(r.names("d"), ["f"], "made through a link")
                r.symlink("x", "ld/").fails(EEXIST)
                r.symlink("loop-b", "loop-a").ok()
                r.symlink("loop-a", "loop-b").ok()
                r.open("loop-a").fails(ELOOP)
                r.symlink("self/x", "self").ok()
                r.open("self").fails(ELOOP)
                // 40 links are followed, one more is not (path_resolution(7)).
                r.symlink("target", "chain-1").ok()
                for number in 2...41 { r.symlink("chain-\(number - 1)", "chain-\(number)").ok() }
                r.close(r.opened("chain-40"))
                r.open("chain-41").fails(ELOOP)
                c.alice.symlink("x", "no").fails(EACCES)
            }
        }
    }
}
