import Glibc
import Testing

extension PosixTests {
    @Suite struct RenameTests {
        /// Every type onto every type.
        @Test(arguments: Place.all) func overEveryType(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for old in CreationTests.kinds {
                    for new in CreationTests.kinds {
                        r.make("old", old)
                        r.make("new", new)
                        if new != .directory { r.link("new", "kept").ok() }
                        let inode = r.status("old").inode
                        let outcome = r.rename("old", "new")
                        if old == .directory && new != .directory {
                            outcome.fails(ENOTDIR)
                            r.remove("old")
                        } else if old != .directory && new == .directory {
                            outcome.fails(EISDIR)
                            r.remove("old")
                        } else {
                            outcome.ok()
                            r.stat("old").fails(ENOENT)
                            c.equal(r.status("new").inode, inode, "inode of \(old) over \(new)")
                            c.equal(r.status("new").kind, old, "type of \(old) over \(new)")
                            if new != .directory {
                                c.equal(r.status("kept").links, 1, "links of the replaced \(new)")
                            }
                        }
                        r.remove("new")
                        if new != .directory { r.unlink("kept").ok() }
                    }
                }
                c.equal(r.names(), [], "names left")
            }
        }

        @Test(arguments: Place.all) func names(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("d").ok()
                for kind in CreationTests.kinds {
                    r.make("x", kind)
                    let before = r.status("x")
                    c.changes([".": .both], "rename in a directory") { r.rename("x", "y").ok() }
                    c.changes([".": .both, "d": .both], "rename between directories") {
                        r.rename("y", "d/y").ok()
                    }
                    let after = r.status("d/y")
                    c.equal(after.inode, before.inode, "inode of a renamed \(kind)")
                    c.equal(after.mtime, before.mtime, "mtime of a renamed \(kind)")
                    c.equal(after.permissions, before.permissions, "mode of a renamed \(kind)")
                    c.equal(after.links, before.links, "links of a renamed \(kind)")
                    c.expect(after.ctime > before.ctime, "ctime of a renamed \(kind)")
                    if kind == .directory {
                        c.equal(
                            r.status("d/y/..").inode, r.status("d").inode, "its new parent")
                    }
                    r.remove("d/y")
                }
                // To itself, and to another name of the same inode: nothing happens.
                r.fill("f", [1])
                r.link("f", "g").ok()
                c.changes([".": [], "f": []], "rename to itself") {
                    r.rename("f", "f").ok()
                    r.rename("f", "g").ok()
                }
                c.equal(r.names(), ["d", "f", "g"], "names after renaming to a hard link")
                c.equal(r.status("f").links, 2, "links after renaming to a hard link")
                let open = r.opened("f")
                r.rename("f", "d/h").ok()
                r.write(open, [5, 6], offset: 0).returns(2)
                r.contains("d/h", [5, 6], "written by a descriptor from before")
            }
        }

        @Test(arguments: Place.all) func directories(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for path in ["a", "a/b", "a/b/c", "full", "full/x", "empty"] { r.mkdir(path).ok() }
                c.changes([".": [], "a": [], "a/b": []], "failing rename") {
                    r.rename("a", "a/b").fails(EINVAL)
                    r.rename("a", "a/b/c").fails(EINVAL)
                    r.rename("a", "a/new").fails(EINVAL)
                    r.rename("a/b", "full").fails(ENOTEMPTY, EEXIST)
                    r.rename("a/b/c", "a").fails(ENOTEMPTY, EEXIST)
                    r.rename("a/b/c", "a/b").fails(ENOTEMPTY, EEXIST)
                }
                r.rename("a/.", "z").fails(EBUSY, EINVAL)
                r.rename("a/b/..", "z").fails(EBUSY, EINVAL)
                r.rename("a", ".").fails(EBUSY, EINVAL)
                r.rename("empty", "a/b/..").fails(EBUSY, EINVAL)
                r.rename("missing", "z").fails(ENOENT)
                r.rename("a", "missing/z").fails(ENOENT)
                r.create("f")
                r.rename("f", "z/").fails(ENOTDIR)
                r.rename("f/", "z").fails(ENOTDIR)
                r.rename("a", "f/z").fails(ENOTDIR)
                r.rename("a/", "moved/").ok()
                c.equal(r.status("moved/b/c").kind, .directory, "what was in it")
                r.rename("moved/b", "empty").ok("over an empty directory")
                c.equal(r.names("empty"), ["c"], "names")
                let inside = c.another()
                inside.chdir("empty").ok()
                r.rename("empty", "moved/deep").ok()
                c.equal(
                    inside.workingDirectory(), c.directory + "/moved/deep", "getcwd follows")
                r.rename("f", "/dev/shm/covol-posix-never").fails(EXDEV)
            }
        }

        @Test(arguments: Place.all) func flags(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for old in CreationTests.kinds {
                    r.make("x", old)
                    r.rename("x", "y", flags: Flags.noReplace).ok()
                    r.rename("missing", "z", flags: Flags.exchange).fails(ENOENT)
                    r.rename("y", "z", flags: Flags.exchange).fails(ENOENT)
                    for new in CreationTests.kinds {
                        r.make("z", new)
                        r.rename("y", "z", flags: Flags.noReplace).fails(EEXIST)
                        let (first, second) = (r.status("y").inode, r.status("z").inode)
                        // XFS leaves the ctime of what is exchanged alone, ext4 does not.
                        c.changes([".": .both], "exchange") {
                            r.rename("y", "z", flags: Flags.exchange).ok()
                        }
                        c.equal(r.status("z").inode, first, "\(old) exchanged with \(new)")
                        c.equal(r.status("y").inode, second, "\(new) exchanged with \(old)")
                        r.remove("y")
                        r.rename("z", "y").ok()
                    }
                    r.remove("y")
                }
                r.mkdir("d").ok()
                r.mkdir("d/e").ok()
                r.create("f")
                let links = r.status(".").links
                r.rename("f", "d/e", flags: Flags.exchange).ok("a file and a directory's child")
                c.equal(r.status("f").kind, .directory, "the directory came up")
                c.equal(r.status("d").links, 2, "links of where it was")
                c.equal(r.status(".").links, links + 1, "links of where it is")
                r.rename("d", "d/e", flags: Flags.exchange).fails(EINVAL)
                r.rename("f", "x", flags: Flags.noReplace | Flags.exchange).fails(EINVAL)
                r.rename("f", "x", flags: 64).fails(EINVAL)
                r.rename("f", "f", flags: Flags.noReplace).fails(EEXIST)
            }
        }

        @Test(arguments: Place.all) func permissions(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for path in ["open", "closed"] { r.mkdir(path).ok() }
                r.chmod("open", 0o777).ok()
                for path in ["open/f", "closed/f"] { r.create(path) }
                c.alice.rename("open/f", "closed/g").fails(EACCES)
                c.alice.rename("closed/f", "open/g").fails(EACCES)
                c.alice.rename("open/f", "open/g").ok()
                // A directory that changes its parent is written itself.
                r.mkdir("open/d").ok()
                r.mkdir("open/to").ok()
                r.chmod("open/to", 0o777).ok()
                c.alice.rename("open/d", "open/e").ok()
                c.alice.rename("open/e", "open/to/e").fails(EACCES)
                r.chown("open/e", User.alice.uid, User.alice.gid).ok()
                c.alice.rename("open/e", "open/to/e").ok()
            }
        }
    }
}
