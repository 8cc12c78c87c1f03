import Glibc
import Testing

extension PosixTests {
    /// Files without a name that someone has open.
    @Suite struct RemovedFileTests {
        @Test(arguments: Place.all) func staysUsable(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let bytes = PosixContext.pattern(20_000)
                for how in ["unlink", "rename over", "O_TMPFILE"] {
                    r.fill("f", bytes)
                    r.setAttribute("f", "user.a", [1]).ok()
                    var file = r.opened("f")
                    let inode = r.status("f").inode
                    switch how {
                    case "unlink":
                        c.changes([".": .both], how) { r.unlink("f").ok() }
                    case "rename over":
                        r.create("g")
                        r.rename("g", "f").ok()
                        r.unlink("f").ok()
                    default:
                        r.unlink("f").ok()
                        r.close(file)
                        file = r.opened(".", Flags.unnamed | O_RDWR)
                        r.write(file, bytes, offset: 0).returns(20_000)
                    }
                    r.stat("f").fails(ENOENT)
                    let status = r.status(of: file)
                    c.equal(status.links, 0, "links after \(how)")
                    c.equal(status.size, 20_000, "size after \(how)")
                    if how != "O_TMPFILE" { c.equal(status.inode, inode, "inode after \(how)") }
                    r.read(file, 20_000, offset: 0).brings(bytes, how)
                    r.write(file, [9, 8], offset: 4095).returns(2)
                    r.write(file, bytes, offset: 50_000).returns(20_000)
                    r.read(file, 4, offset: 4094).brings([bytes[4094], 9, 8, bytes[4097]])
                    r.read(file, 20_000, offset: 50_000).brings(bytes)
                    r.ftruncate(file, 60_000).ok()
                    c.equal(r.status(of: file).size, 60_000, "size after ftruncate")
                    r.fchmod(file, 0o600).ok()
                    r.fchown(file, 5, 6).ok()
                    c.equal(r.status(of: file).permissions, 0o600, "mode after fchmod")
                    c.equal(r.status(of: file).uid, 5, "owner after fchown")
                    r.call("utimensat", .number(file), .number(0), .number(0), .number(0)).ok()
                    r.fallocate(file, 0, 0, 100_000).ok()
                    r.fallocate(file, Flags.punchHole, 0, 4096).ok()
                    r.read(file, 5, offset: 0).brings([0, 0, 0, 0, 0])
                    r.call(
                        "fsetxattr", .number(file), .text("user.b"), .bytes([4]), .number(1),
                        .number(0)
                    ).ok()
                    r.call("fgetxattr", .number(file), .text("user.b"), .room(4), .number(4))
                        .brings([4])
                    r.call("fsync", .number(file)).ok()
                    r.lock(file, F_SETLK, Int32(F_WRLCK)).ok()
                    let again = r.opened("/proc/self/fd/\(file)")
                    r.read(again, 2, offset: 4095).brings([0, 8])
                    r.close(again)
                    if how != "O_TMPFILE" {
                        r.link("/proc/self/fd/\(file)", "back", flags: Flags.symlinkFollow)
                            .fails(ENOENT)
                    }
                    let twin = r.call("dup", .number(file)).ok()
                    r.close(file).ok()
                    r.read(twin, 2, offset: 4095).brings([0, 8], "by a duplicate")
                    c.equal(r.names(), [], "names after \(how)")
                    r.close(twin).ok()
                }
                c.expect(!r.names("..").contains(".covolume"), ".covolume shows")
            }
        }

        @Test(arguments: Place.all) func linksRemain(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.fill("a", [1, 2])
                r.link("a", "b").ok()
                let file = r.opened("a")
                r.unlink("a").ok()
                c.equal(r.status(of: file).links, 1, "links with one name left")
                r.write(file, [3], offset: 2).ok()
                r.contains("b", [1, 2, 3])
                r.unlink("b").ok()
                c.equal(r.status(of: file).links, 0, "links with no name left")
                r.create("b")
                c.expect(
                    r.status("b").inode != r.status(of: file).inode, "an inode in use is given away"
                )
                r.write(file, [4], offset: 3).ok()
                r.contains("b", [], "a new file of the name")
                // The same with many at once, and the names made again.
                var open: [Int] = []
                for number in 0..<50 {
                    r.fill("n", [UInt8(number)])
                    open.append(r.opened("n"))
                    r.unlink("n").ok()
                }
                c.equal(Set(open.map { r.status(of: $0).inode }).count, 50, "inodes")
                for (number, file) in open.enumerated() {
                    r.read(file, 2, offset: 0).brings([UInt8(number)])
                }
            }
        }

        /// The room comes back only with the last close.
        @Test(arguments: Place.all) func space(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                let before = r.space().freeBytes
                let file = r.opened("f", O_CREAT | O_RDWR)
                r.fallocate(file, 0, 0, 128 << 20).ok()
                r.unlink("f").ok()
                c.expect(before - r.space().freeBytes >= 120 << 20, "room is given back too early")
                r.close(file)
                var left = Int64.max
                for _ in 0..<200 where left > 8 << 20 {
                    c.pause()
                    left = before - r.space().freeBytes
                }
                c.expect(left <= 8 << 20, "\(left) bytes are not given back after the close")
                // A process that dies closes too.
                let other = c.another()
                let its = other.opened("g", O_CREAT | O_RDWR)
                other.fallocate(its, 0, 0, 128 << 20).ok()
                r.unlink("g").ok()
                other.end()
                left = Int64.max
                for _ in 0..<200 where left > 8 << 20 {
                    c.pause()
                    left = before - r.space().freeBytes
                }
                c.expect(left <= 8 << 20, "\(left) bytes are not given back after a death")
            }
        }
    }
}
