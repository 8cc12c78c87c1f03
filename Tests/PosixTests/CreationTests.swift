import Glibc
import Testing

extension PosixTests {
    @Suite struct CreationTests {
        static let kinds: [FileStatus.Kind] = [
            .regular, .directory, .link, .fifo, .socket, .character, .block,
        ]

        @Test(arguments: Place.all) func everyType(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for kind in Self.kinds {
                    let name = "\(kind)"
                    c.changes([".": .both], "making a \(kind)") { r.make(name, kind, 0o640) }
                    let status = r.status(name)
                    c.equal(status.kind, kind, "type")
                    c.equal(status.permissions, kind == .link ? 0o777 : 0o640, "mode of \(kind)")
                    c.equal(status.links, kind == .directory ? 2 : 1, "links of \(kind)")
                    c.equal(status.uid, 0, "owner")
                    c.expect(status.mtime == status.ctime, "mtime and ctime of a new \(kind)")
                    c.expect(
                        status.ctime == r.status(".").mtime
                            || status.ctime <= r.status(".").mtime, "times of a new \(kind)")
                    if kind == .character || kind == .block {
                        let device = kind == .character ? [1, 3] : [7, 250]
                        c.equal(
                            [status.deviceMajor, status.deviceMinor].map(Int.init), device,
                            "device of \(kind)")
                    }
                    // Anything there is EEXIST to everything, and changes no time.
                    c.changes([".": [], name: []], "failing over a \(kind)") {
                        r.mkdir(name).fails(EEXIST)
                        r.mknod(name, .fifo).fails(EEXIST)
                        r.mknod(name, .regular).fails(EEXIST)
                        r.symlink("x", name).fails(EEXIST)
                        r.link("regular", name).fails(EEXIST)
                        r.open(name, O_CREAT | O_EXCL | O_RDWR).fails(EEXIST)
                    }
                }
                r.mknod("by-mknod", .regular, 0o600).ok()
                r.fill("by-mknod", [1])
                c.equal(r.names().count, Self.kinds.count + 1, "names")
            }
        }

        @Test(arguments: Place.all) func devicesNeedPrivilege(_ place: Place) async throws {
            try await place.check { c in
                c.root.chmod(".", 0o777).ok()
                c.alice.mknod("c", .character, device: 1 << 8 | 3).fails(EPERM)
                c.alice.mknod("b", .block, device: 7 << 8 | 250).fails(EPERM)
                c.alice.mknod("p", .fifo).ok()
                c.alice.mknod("s", .socket).ok()
                c.alice.mknod("f", .regular).ok()
                c.root.call(
                    "mknodat", .workingDirectory, .text("d"), .number(0o040755), .number(0)
                ).fails(EPERM)
                c.root.call(
                    "mknodat", .workingDirectory, .text("x"), .number(0o170000), .number(0)
                ).fails(EINVAL)
                for name in ["p", "s", "f"] {
                    c.equal(c.root.status(name).uid, UInt32(User.alice.uid), "owner of \(name)")
                }
            }
        }

        @Test(arguments: Place.all) func umask(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for mask in [0, 0o022, 0o077, 0o151, 0o777] {
                    r.umask(mask)
                    let name = "\(mask)"
                    for kind in Self.kinds where kind != .link {
                        r.make("\(kind)-\(name)", kind, 0o777)
                        c.equal(
                            r.status("\(kind)-\(name)").permissions, 0o777 & ~mask,
                            "mode of \(kind) with umask \(mask)")
                    }
                    r.symlink("x", "link-\(name)").ok()
                    c.equal(r.status("link-\(name)").permissions, 0o777, "mode of a link")
                    let file = r.opened(".", Flags.unnamed | O_RDWR, 0o666)
                    c.equal(
                        r.status(of: file).permissions, 0o666 & ~mask, "mode of an unnamed file")
                    r.close(file)
                }
                r.umask(0o022)
                r.mkdir("sticky", 0o1777).ok()
                c.equal(r.status("sticky").permissions, 0o1755, "sticky by mkdir")
                r.create("set-id", 0o6755)
                c.equal(r.status("set-id").permissions, 0o6755, "set-id by open")
            }
        }

        @Test(arguments: Place.all) func setGroupDirectories(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("shared").ok()
                r.chown("shared", 0, 65510).ok()
                r.chmod("shared", 0o2777).ok()
                for kind in Self.kinds where kind != .block && kind != .character {
                    let name = "shared/\(kind)"
                    c.alice.make(name, kind, 0o755)
                    let status = r.status(name)
                    c.equal(status.gid, 65510, "group of \(kind)")
                    c.equal(status.uid, UInt32(User.alice.uid), "owner of \(kind)")
                    if kind == .directory {
                        c.equal(status.permissions, 0o2755, "set-group-id goes on")
                    }
                }
                // Not in the group: the new file's set-group-id bit goes (CVE-2018-13405).
                c.alice.create("shared/exec", 0o2775)
                c.equal(r.status("shared/exec").permissions, 0o755, "set-group-id of others")
                let member = c.caller(User(uid: 65503, gid: 65503, groups: [65510]))
                member.create("shared/member", 0o2755)
                c.equal(r.status("shared/member").permissions, 0o2755, "set-group-id of members")
                r.mkdir("plain").ok()
                r.chmod("plain", 0o777).ok()
                c.alice.create("plain/f")
                c.equal(r.status("plain/f").gid, UInt32(User.alice.gid), "group in a plain one")
            }
        }

        @Test(arguments: Place.all) func linkCounts(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let start = r.status(".").links
                for number in 1...5 {
                    r.mkdir("d\(number)").ok()
                    c.equal(r.status(".").links, start + UInt32(number), "links of the parent")
                }
                r.create("f")
                c.equal(r.status(".").links, start + 5, "files add no link")
                r.rename("d1", "d2/d1").ok()
                c.equal(r.status(".").links, start + 4, "after moving one away")
                c.equal(r.status("d2").links, 3, "of where it went")
                r.rename("d3", "d4").ok()
                c.equal(r.status(".").links, start + 3, "after renaming over one")
                r.rmdir("d2/d1").ok()
                c.equal(r.status("d2").links, 2, "after rmdir")
                for name in ["d2", "d4", "d5"] { r.rmdir(name).ok() }
                c.equal(r.status(".").links, start, "at the end")
            }
        }
    }
}
