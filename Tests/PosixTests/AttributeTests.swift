import Glibc
import Testing

extension PosixTests {
    @Suite struct AttributeTests {
        @Test(arguments: Place.all) func values(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in [FileStatus.Kind.regular, .directory] {
                    r.make("x", kind)
                    r.attribute("x", "user.a").fails(ENODATA)
                    for size in [0, 1, 100, 1000, 3000] {
                        let value = PosixContext.pattern(size, seed: size)
                        r.setAttribute("x", "user.a", value).ok()
                        r.attribute("x", "user.a").brings(value)
                        r.attribute("x", "user.a", room: size).brings(
                            size == 0 ? [] : value)
                        r.call("lgetxattr", .text("x"), .text("user.a"), .number(0), .number(0))
                            .returns(size, "its size")
                        if size > 1 {
                            r.attribute("x", "user.a", room: size - 1).fails(ERANGE)
                        }
                    }
                    let large = PosixContext.pattern(65536)
                    let outcome = r.setAttribute("x", "user.large", large)
                    if place.fileSystem == .xfs {
                        outcome.ok()
                        r.attribute("x", "user.large").brings(large)
                        r.removeAttribute("x", "user.large").ok()
                    } else {
                        outcome.fails(ENOSPC)
                    }
                    r.setAttribute("x", "user.large", large + [0]).fails(E2BIG)
                    r.setAttribute("x", "user.a", [1], flags: Flags.createOnly).fails(EEXIST)
                    r.setAttribute("x", "user.b", [1], flags: Flags.replaceOnly).fails(ENODATA)
                    r.setAttribute("x", "user.b", [1], flags: Flags.createOnly).ok()
                    r.setAttribute("x", "user.b", [2, 3], flags: Flags.replaceOnly).ok()
                    r.attribute("x", "user.b").brings([2, 3])
                    r.setAttribute("x", "user.b", [1], flags: 8).fails(EINVAL)
                    c.equal(r.attributeNames("x"), ["user.a", "user.b"], "names")
                    r.listAttributes("x", room: 5).fails(ERANGE)
                    r.call("llistxattr", .text("x"), .number(0), .number(0)).returns(14)
                    r.removeAttribute("x", "user.a").ok()
                    r.removeAttribute("x", "user.a").fails(ENODATA)
                    r.attribute("x", "user.a").fails(ENODATA)
                    c.equal(r.attributeNames("x"), ["user.b"], "names after removing")
                    r.remove("x")
                }
            }
        }

        @Test(arguments: Place.all) func names(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.create("f")
                let longest = "user." + String(repeating: "n", count: 250)
                r.setAttribute("f", longest, [1]).ok()
                r.attribute("f", longest).brings([1])
                r.setAttribute("f", longest + "n", [1]).fails(ERANGE)
                r.setAttribute("f", "user.", [1]).fails(EINVAL)
                r.setAttribute("f", "", [1]).fails(ERANGE)
                r.setAttribute("f", "unknown.x", [1]).fails(EOPNOTSUPP)
                r.setAttribute("f", "noprefix", [1]).fails(EOPNOTSUPP)
                r.attribute("f", "unknown.x").fails(EOPNOTSUPP)
                r.setAttribute("f", "user.é ☃", [2]).ok()
                r.attribute("f", "user.é ☃").brings([2])
                r.removeAttribute("f", longest).ok()
                for number in 0..<100 {
                    r.setAttribute("f", "user.many-\(number)", [UInt8(number)]).ok()
                }
                c.equal(r.attributeNames("f").count, 101, "names")
                for number in 0..<100 {
                    r.attribute("f", "user.many-\(number)").brings([UInt8(number)])
                }
                // Only files and directories have user attributes (xattr(7)).
                for kind in [FileStatus.Kind.link, .fifo, .socket, .character] {
                    r.make("x", kind)
                    r.setAttribute("x", "user.a", [1]).fails(EPERM)
                    r.attribute("x", "user.a").fails(EPERM, ENODATA)
                    c.equal(r.attributeNames("x"), [], "names of a \(kind)")
                    r.setAttribute("x", "trusted.a", [1, 2]).ok()
                    r.attribute("x", "trusted.a").brings([1, 2])
                    c.equal(r.attributeNames("x"), ["trusted.a"], "names of a \(kind)")
                    r.remove("x")
                }
                let file = r.opened("f")
                r.call(
                    "fsetxattr", .number(file), .text("user.fd"), .bytes([4]), .number(1),
                    .number(0)
                ).ok()
                r.call("fgetxattr", .number(file), .text("user.fd"), .room(4), .number(4))
                    .brings([4])
                r.call("fremovexattr", .number(file), .text("user.fd")).ok()
            }
        }

        @Test(arguments: Place.all) func rights(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.create("f", 0o600)
                r.chown("f", User.alice.uid, User.alice.gid).ok()
                c.alice.setAttribute("f", "user.a", [1]).ok()
                c.bob.setAttribute("f", "user.a", [2]).fails(EACCES)
                c.bob.attribute("f", "user.a").fails(EACCES)
                c.bob.removeAttribute("f", "user.a").fails(EACCES)
                r.chmod("f", 0o604).ok()
                c.bob.attribute("f", "user.a").brings([1])
                c.bob.setAttribute("f", "user.a", [2]).fails(EACCES)
                r.setAttribute("f", "trusted.a", [3]).ok()
                r.attribute("f", "trusted.a").brings([3])
                c.alice.attribute("f", "trusted.a").fails(ENODATA)
                c.alice.setAttribute("f", "trusted.a", [1]).fails(EPERM)
                c.alice.removeAttribute("f", "trusted.a").fails(EPERM)
                c.equal(r.attributeNames("f"), ["trusted.a", "user.a"], "root's list")
                c.equal(c.alice.attributeNames("f"), ["user.a"], "the owner's list")
                r.setAttribute("f", "security.covol", [5]).ok()
                c.alice.attribute("f", "security.covol").brings([5])
                c.alice.setAttribute("f", "security.covol", [6]).fails(EPERM)
                c.alice.removeAttribute("f", "security.covol").fails(EPERM)
                r.mkdir("t").ok()
                r.chmod("t", 0o1777).ok()
                c.alice.setAttribute("t", "user.a", [1]).fails(EPERM)
                // Attributes belong to the inode.
                r.link("f", "g").ok()
                r.attribute("g", "user.a").brings([1])
                r.rename("g", "h").ok()
                r.attribute("h", "trusted.a").brings([3])
            }
        }

        /// A program's capabilities are an attribute, and go when others write to it.
        @Test(arguments: Place.all) func capabilities(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                // struct vfs_cap_data, revision 2: CAP_NET_BIND_SERVICE permitted.
                let value =
                    encoded(UInt32(0x0200_0001)) + encoded(UInt32(1 << 10))
                    + [UInt8](repeating: 0, count: 12)
                for (name, change): (String, (Caller) -> Void) in [
                    (
                        "write",
                        {
                            let f = $0.opened("f"); $0.write(f, [1], offset: 0).ok(); $0.close(f)
                        }
                    ),
                    ("truncate", { $0.truncate("f", 1).ok() }),
                    ("chown", { $0.chown("f", 5, 5).ok() }),
                ] {
                    r.fill("f", PosixContext.pattern(5000), mode: 0o666)
                    r.chmod("f", 0o666).ok()
                    r.setAttribute("f", "security.capability", value).ok()
                    r.attribute("f", "security.capability").brings(value)
                    change(r)
                    r.attribute("f", "security.capability").fails(ENODATA, note: "after \(name)")
                    r.unlink("f").ok()
                }
            }
        }
    }
}
