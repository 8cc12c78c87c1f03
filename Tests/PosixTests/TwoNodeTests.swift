import Glibc
import Testing

extension PosixTests {
    /// What one node has finished, the other sees next. On a local file system two processes take
    /// the nodes' parts.
    @Suite struct TwoNodeTests {
        @Test(arguments: Place.all) func names(_ place: Place) async throws {
            try await place.check { c in
                for (a, b) in [(c.root, c.another(onOtherNode: true))].flatMap({
                    [$0, ($0.1, $0.0)]
                }) {
                    for kind in CreationTests.kinds {
                        b.stat("x").fails(ENOENT)
                        a.make("x", kind, 0o640)
                        c.equal(b.status("x"), a.status("x"), "a new \(kind)")
                        b.mkdir("x").fails(EEXIST)
                        c.equal(b.names(), ["x"], "names")
                        a.rename("x", "y").ok()
                        b.stat("x").fails(ENOENT)
                        c.equal(b.status("y"), a.status("y"), "a renamed \(kind)")
                        if kind != .directory {
                            a.link("y", "z").ok()
                            c.equal(b.status("y").links, 2, "links")
                            b.unlink("z").ok()
                            c.equal(a.status("y").links, 1, "links after the other's unlink")
                        }
                        if kind == .link { b.readlink("y").brings(Array("nowhere".utf8)) }
                        a.remove("y")
                        b.stat("y").fails(ENOENT)
                        c.equal(b.names(), [], "names after removing")
                    }
                    a.mkdir("d").ok()
                    b.create("d/f")
                    a.rmdir("d").fails(ENOTEMPTY, EEXIST)
                    b.rename("d", "e").ok()
                    c.equal(a.names("e"), ["f"], "names in a renamed directory")
                    a.unlink("e/f").ok()
                    b.rmdir("e").ok()
                    a.mkdir("e/x").fails(ENOENT)
                }
            }
        }

        @Test(arguments: Place.all) func attributes(_ place: Place) async throws {
            try await place.check { c in
                let (a, b) = (c.root, c.another(onOtherNode: true))
                let alice = c.another(.alice, onOtherNode: true)
                a.create("f", 0o644)
                let open = b.opened("f")
                for mode in [0o600, 0o644, 0o4755] {
                    a.chmod("f", mode).ok()
                    c.equal(b.status("f").permissions, mode, "mode by name")
                    c.equal(b.status(of: open).permissions, mode, "mode by descriptor")
                }
                alice.close(alice.opened("f", O_RDONLY))
                a.chmod("f", 0o600).ok()
                alice.open("f", O_RDONLY).fails(EACCES)
                a.chown("f", User.alice.uid, User.alice.gid).ok()
                alice.close(alice.opened("f", O_RDWR))
                a.setAttribute("f", "user.a", [1, 2, 3]).ok()
                b.attribute("f", "user.a").brings([1, 2, 3])
                b.removeAttribute("f", "user.a").ok()
                a.attribute("f", "user.a").fails(ENODATA)
                a.setTimes("f", (1, 2), (3, 4)).ok()
                c.equal(b.status("f").mtime, .init(seconds: 3, nanoseconds: 4), "mtime")
                a.symlink("one", "l").ok()
                b.unlink("l").ok()
                b.symlink("two", "l").ok()
                a.readlink("l").brings(Array("two".utf8))
            }
        }

        @Test(arguments: Place.all) func data(_ place: Place) async throws {
            try await place.check { c in
                let (a, b) = (c.root, c.another(onOtherNode: true))
                let f = a.opened("f", O_CREAT | O_RDWR)
                let g = b.opened("f")
                var model: [UInt8] = []
                for (number, (offset, count)) in [
                    (0, 10), (10, 4086), (4096, 65536), (100, 7), (200_000, 5000), (150_000, 3),
                    (8192, 8192), (8192, 8192), (0, 205_000), (300_001, 1),
                ].enumerated() {
                    let bytes = PosixContext.pattern(count, seed: number)
                    let end = offset + count
                    if model.count < end {
                        model += [UInt8](repeating: 0, count: end - model.count)
                    }
                    model.replaceSubrange(offset..<end, with: bytes)
                    let (writer, w, reader, r) =
                        number.isMultiple(of: 2) ? (a, f, b, g) : (b, g, a, f)
                    let before = reader.status(of: r)
                    c.pause()
                    writer.write(w, bytes, offset: offset).returns(count)
                    let after = reader.status(of: r)
                    c.equal(Int(after.size), model.count, "size seen by the other")
                    c.expect(after.mtime > before.mtime, "the other sees no new mtime")
                    c.equal(after, writer.status(of: w), "attributes on both")
                    reader.read(r, model.count + 1, offset: 0).brings(model, "write \(number)")
                }
                for size in [250_001, 100, 5000, 0, 12_288] {
                    a.truncate("f", size).ok()
                    model = Array(model.prefix(size))
                    model += [UInt8](repeating: 0, count: size - model.count)
                    c.equal(Int(b.status(of: g).size), size, "size after truncate")
                    b.read(g, size + 1, offset: 0).brings(model, "after truncate to \(size)")
                    b.write(g, [7, 7, 7], offset: size).returns(3)
                    model += [7, 7, 7]
                    a.read(f, size + 4, offset: 0).brings(model, "after growing \(size)")
                }
                b.fallocate(g, Flags.punchHole, 4000, 5000).ok()
                model.replaceSubrange(4000..<9000, with: [UInt8](repeating: 0, count: 5000))
                a.read(f, model.count, offset: 0).brings(model, "after the other's punch")
                a.write(f, [1, 2], offset: 4095).returns(2)
                model.replaceSubrange(4095..<4097, with: [1, 2])
                b.read(g, model.count, offset: 0).brings(model, "after writing into the hole")
            }
        }

        /// Appends from both nodes at once: none lost, none torn, each node's in order.
        @Test(arguments: Place.all) func appending(_ place: Place) async throws {
            try await place.check { c in
                let callers = [c.another(), c.another(onOtherNode: true), c.another()]
                c.root.create("f")
                let files = callers.map { $0.opened("f", O_WRONLY | O_APPEND) }
                let (count, length) = (150, 333)
                for number in 0..<count {
                    for (index, caller) in callers.enumerated() {
                        let head = encoded(UInt32(index)) + encoded(UInt32(number))
                        let record =
                            head
                            + [UInt8](
                                repeating: UInt8(index * 50 + number % 50 + 1), count: length - 8)
                        caller.start(
                            "write",
                            [.number(files[index]), .bytes(record), .number(length)])
                    }
                    for caller in callers { caller.finish().returns(length) }
                }
                let all = c.root.opened("f", O_RDONLY)
                let total = callers.count * count * length
                let bytes = c.root.read(all, total + 1, offset: 0)
                bytes.returns(total)
                guard bytes.result == total else { return }
                var next = [0, 0, 0]
                for start in stride(from: 0, to: total, by: length) {
                    let index = Int(decoded(bytes.data, at: start, as: UInt32.self))
                    let number = Int(decoded(bytes.data, at: start + 4, as: UInt32.self))
                    guard index < 3 else { return c.expect(false, "a torn record at \(start)") }
                    c.equal(number, next[index], "the record of \(index) at \(start)")
                    next[index] = number + 1
                    let fill = UInt8(index * 50 + number % 50 + 1)
                    c.expect(
                        bytes.data[(start + 8)..<(start + length)].allSatisfy { $0 == fill },
                        "a torn record at \(start)")
                }
                c.equal(next, [count, count, count], "records")
            }
        }

        /// Removed on one node while the other has it open.
        @Test(arguments: Place.all) func removed(_ place: Place) async throws {
            try await place.check { c in
                let (a, b) = (c.root, c.another(onOtherNode: true))
                let bytes = PosixContext.pattern(50_000)
                for how in ["unlink", "rename over"] {
                    let before = a.space().freeBytes
                    a.fill("f", bytes)
                    let g = b.opened("f")
                    b.fallocate(g, 0, 0, 64 << 20).ok()
                    b.ftruncate(g, 50_000).ok()
                    b.fallocate(g, Flags.keepSize, 0, 64 << 20).ok()
                    if how == "unlink" {
                        a.unlink("f").ok()
                    } else {
                        a.create("g")
                        a.rename("g", "f").ok()
                    }
                    c.equal(b.status(of: g).links, 0, "links after the other's \(how)")
                    // Others take blocks meanwhile; they must not be these.
                    for number in 0..<5 {
                        a.fill("n\(number)", [UInt8](repeating: 0xee, count: 100_000))
                    }
                    b.read(g, 50_000, offset: 0).brings(bytes, how)
                    b.write(g, [5, 6], offset: 4095).returns(2)
                    b.write(g, bytes, offset: 60_000).returns(50_000)
                    b.read(g, 2, offset: 4095).brings([5, 6])
                    b.read(g, 50_000, offset: 60_000).brings(bytes)
                    for number in 0..<5 {
                        a.contains("n\(number)", [UInt8](repeating: 0xee, count: 100_000))
                        a.unlink("n\(number)").ok()
                    }
                    c.expect(before - a.space().freeBytes >= 60 << 20, "given back too early")
                    b.close(g)
                    if how == "rename over" { a.unlink("f").ok() }
                    var left = Int64.max
                    for _ in 0..<200 where left > 4 << 20 {
                        c.pause()
                        left = before - a.space().freeBytes
                    }
                    c.expect(left <= 4 << 20, "\(left) bytes are not given back after the close")
                }
            }
        }

        /// Renaming under a reader, and listing while another node makes names.
        @Test(arguments: Place.all) func meanwhile(_ place: Place) async throws {
            try await place.check { c in
                let (a, b) = (c.root, c.another(onOtherNode: true))
                let bytes = PosixContext.pattern(200_000)
                a.fill("f0", bytes)
                let g = b.opened("f0", O_RDONLY)
                for number in 0..<30 {
                    b.start(
                        "pread64",
                        [.number(g), .room(200_000), .number(200_000), .number(0)])
                    a.rename("f\(number)", "f\(number + 1)").ok()
                    b.finish().brings(bytes, "while it is renamed")
                }
                // A name that is always there is found by every look.
                a.create("one")
                for _ in 0..<30 {
                    b.start(
                        "statx",
                        [.workingDirectory, .text("one"), .number(0), .number(0x7ff), .room(256)])
                    a.create("other")
                    a.rename("other", "one").ok()
                    b.finish().ok("a name that is replaced is never missing")
                }
                a.mkdir("d").ok()
                for number in 0..<100 { a.create("d/old-\(number)") }
                for number in 0..<20 {
                    a.start(
                        "mkdirat",
                        [.workingDirectory, .text("d/new-\(number)"), .number(0o755)])
                    let names = b.names("d")
                    a.finish().ok()
                    c.equal(names.filter { $0.hasPrefix("old-") }.count, 100, "old names")
                    c.equal(Set(names).count, names.count, "no name twice")
                    let new = names.filter { $0.hasPrefix("new-") }.count
                    c.expect(new == number || new == number + 1, "\(new) new names of \(number)")
                }
            }
        }

        /// One of two who make, rename or remove the same name wins, the other is told.
        @Test(arguments: Place.all) func races(_ place: Place) async throws {
            try await place.check { c in
                let (a, b) = (c.root, c.another(onOtherNode: true))
                func race(_ what: String, _ loses: Int32, _ call: (Caller) -> Void) {
                    call(a)
                    call(b)
                    let outcomes = [a.finish(), b.finish()]
                    c.equal(outcomes.filter(\.isOK).count, 1, "winners of \(what)")
                    outcomes.first { !$0.isOK }?.fails(loses)
                }
                for _ in 0..<25 {
                    race("open", EEXIST) {
                        $0.start(
                            "openat",
                            [
                                .workingDirectory, .text("x"), .flags(O_CREAT | O_EXCL),
                                .number(0o600),
                            ])
                    }
                    race("link", EEXIST) {
                        $0.start(
                            "linkat",
                            [
                                .workingDirectory, .text("x"), .workingDirectory, .text("y"),
                                .number(0),
                            ])
                    }
                    // To names of their own: with one name the second looks up both after the
                    // first has renamed, finds one inode, and has nothing to do.
                    race("rename", ENOENT) {
                        $0.start(
                            "renameat2",
                            [
                                .workingDirectory, .text("y"), .workingDirectory,
                                .text($0 === a ? "z-a" : "z-b"), .number(0),
                            ])
                    }
                    let left = a.names().filter { $0.hasPrefix("z-") }
                    c.equal(left.count, 1, "names after the rename")
                    race("unlink", ENOENT) {
                        $0.start(
                            "unlinkat", [.workingDirectory, .text(left.first ?? "z"), .number(0)])
                    }
                    race("mkdir", EEXIST) {
                        $0.start("mkdirat", [.workingDirectory, .text("d"), .number(0o755)])
                    }
                    race("rmdir", ENOENT) {
                        $0.start(
                            "unlinkat",
                            [.workingDirectory, .text("d"), .flags(Flags.removeDirectory)])
                    }
                    a.unlink("x").ok()
                }
            }
        }
    }
}
