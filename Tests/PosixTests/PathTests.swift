import Glibc
import Testing

extension PosixTests {
    @Suite struct PathTests {
        /// Every call that takes a path, on `path`. `exists` is a file for the other path of two.
        static let calls: [(name: String, call: @Sendable (Caller, String) -> Outcome)] = [
            ("open", { $0.open($1) }),
            ("create", { $0.open($1, O_CREAT | O_RDWR) }),
            ("mkdir", { $0.mkdir($1) }),
            ("mknod", { $0.mknod($1, .fifo) }),
            ("symlink", { $0.symlink("exists", $1) }),
            ("link from", { $0.link($1, "new") }),
            ("link to", { $0.link("exists", $1) }),
            ("rename from", { $0.rename($1, "new") }),
            ("rename to", { $0.rename("exists", $1) }),
            ("exchange", { $0.rename("exists", $1, flags: Flags.exchange) }),
            ("unlink", { $0.unlink($1) }),
            ("rmdir", { $0.rmdir($1) }),
            ("readlink", { $0.readlink($1) }),
            ("stat", { $0.stat($1) }),
            ("stat following", { $0.stat($1, follow: true) }),
            ("access", { $0.access($1, Int32(F_OK)) }),
            ("chmod", { $0.chmod($1, 0o600) }),
            ("chown", { $0.chown($1, 0, 0) }),
            ("lchown", { $0.chown($1, 0, 0, follow: false) }),
            ("truncate", { $0.truncate($1, 0) }),
            ("utimensat", { $0.setTimes($1, nil, nil) }),
            ("getxattr", { $0.attribute($1, "user.x") }),
            ("setxattr", { $0.setAttribute($1, "user.x", [1]) }),
            ("listxattr", { $0.listAttributes($1) }),
            ("removexattr", { $0.removeAttribute($1, "user.x") }),
            ("statfs", { $0.call("statfs", .text($1), .room(256)) }),
            ("chdir", { $0.chdir($1) }),
        ]
        static let makers: Set<String> = [
            "create", "mkdir", "mknod", "symlink", "link to", "rename to",
        ]

        @Test(arguments: Place.all) func wrongPaths(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.chmod(".", 0o777).ok()
                r.create("exists", 0o666)
                r.chown("exists", User.alice.uid, User.alice.gid).ok()
                r.create("file")
                r.symlink("loop", "loop").ok()
                r.mkdir("closed", 0o700).ok()
                r.create("closed/file")
                r.mkdir("closed/d").ok()
                let long = String(repeating: "n", count: 256)
                let endless = String(repeating: "./", count: 2048) + "x"
                for (name, call) in Self.calls {
                    call(r, "file/x").fails(ENOTDIR, note: name)
                    call(r, "file/x/y").fails(ENOTDIR, note: name)
                    call(r, "missing/x").fails(ENOENT, note: name)
                    call(r, "loop/x").fails(ELOOP, note: name)
                    call(r, long).fails(ENAMETOOLONG, note: name)
                    call(r, long + "/x").fails(ENAMETOOLONG, note: name)
                    call(r, String(repeating: "n", count: 2000)).fails(ENAMETOOLONG, note: name)
                    call(r, endless).fails(ENAMETOOLONG, note: name)
                    call(r, "").fails(ENOENT, note: name)
                    call(c.alice, "closed/file").fails(EACCES, note: name)
                    call(c.alice, "closed/d/x").fails(EACCES, note: name)
                    call(c.alice, "closed/missing").fails(EACCES, note: name)
                    if !Self.makers.contains(name) {
                        call(r, "missing").fails(ENOENT, note: name)
                        call(r, "missing/").fails(ENOENT, note: name)
                    }
                }
                c.equal(r.names(), ["closed", "exists", "file", "loop"], "names")
            }
        }

        @Test(arguments: Place.all) func longNames(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                c.equal(r.space().nameBytes, 255, "f_namelen")
                for kind in CreationTests.kinds {
                    let one = String(repeating: "a", count: 255)
                    let two = String(repeating: "é", count: 127) + "x"
                    r.make(one, kind)
                    r.rename(one, two).ok()
                    c.equal(r.names(), [two], "a name of 255 bytes")
                    if kind != .directory {
                        r.link(two, one).ok()
                        r.unlink(one).ok()
                    }
                    r.rename(two, one + "b").fails(ENAMETOOLONG)
                    r.remove(two)
                }
                // A path of PATH_MAX - 1 bytes is the longest that a call takes.
                let part = String(repeating: "d", count: 199)
                var path = ""
                for _ in 0..<20 {
                    path += part
                    r.mkdir(path).ok()
                    path += "/"
                }
                let file = path + String(repeating: "f", count: 4095 - path.utf8.count)
                r.create(file)
                c.equal(r.status(file).kind, .regular, "a path of 4095 bytes")
                r.stat(file + "f").fails(ENAMETOOLONG)
            }
        }

        @Test(arguments: Place.all) func strangeNames(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                var names = [
                    "...", " ", "-rf", "\n", "\u{1}", "a\\b", ".hidden", "*", "日本", "\u{7f}",
                ]
                // Names are bytes: composed and decomposed letters are two names.
                names += ["\u{e9}", "e\u{301}", "CASE", "case"]
                for (number, name) in names.enumerated() { r.fill(name, [UInt8(number)]) }
                for (number, name) in names.enumerated() { r.contains(name, [UInt8(number)]) }
                c.equal(
                    Set(r.names().map { Array($0.utf8) }), Set(names.map { Array($0.utf8) }),
                    "names")
                for path in [
                    "./././CASE", ".//CASE", "../\(c.directory.split(separator: "/").last!)/CASE",
                ] {
                    c.equal(r.status(path).inode, r.status("CASE").inode, path)
                }
                r.mkdir(".").fails(EEXIST)
                r.mkdir("..").fails(EEXIST)
                r.unlink("..").fails(EISDIR)
                r.create("f")
                r.mkdir("new/").ok()
                r.mknod("newer/", .regular).fails(ENOENT)
                r.unlink("new/").fails(EISDIR)
                r.stat("f/").fails(ENOTDIR)
                r.rmdir("new///").ok()
            }
        }

        @Test(arguments: Place.all) func inodeNumbers(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                var known: [String: UInt64] = [:]
                for number in 0..<50 {
                    r.make("f\(number)", number % 5 == 0 ? .directory : .regular)
                    known["f\(number)"] = r.status("f\(number)").inode
                }
                c.equal(Set(known.values).count, 50, "different inodes")
                let directory = r.opened(".", O_RDONLY | Flags.directory)
                for entry in r.readDirectory(directory) where entry.name.hasPrefix("f") {
                    c.equal(entry.inode, known[entry.name] ?? 0, "d_ino of \(entry.name)")
                }
                let other = c.another(onOtherNode: true)
                for (name, inode) in known {
                    c.equal(r.status(name).inode, inode, "inode later of \(name)")
                    c.equal(other.status(name).inode, inode, "inode elsewhere of \(name)")
                }
            }
        }

        /// What Covolume keeps in a volume for itself can be neither seen nor made.
        @Test(arguments: Place.all) func privateDirectory(_ place: Place) async throws {
            guard place.isVolume else { return }
            try await place.check { c in
                let r = c.root
                let path = "../.covolume"
                r.stat(path).fails(ENOENT)
                r.open(path).fails(ENOENT)
                r.mkdir(path).fails(EPERM, EACCES, EEXIST)
                r.open(path, O_CREAT | O_RDWR).fails(EPERM, EACCES, EEXIST, ENOENT)
                r.symlink("x", path).fails(EPERM, EACCES, EEXIST)
                r.create("f")
                r.rename("f", path).fails(EPERM, EACCES, EEXIST)
                r.link("f", path).fails(EPERM, EACCES, EEXIST)
                r.mknod(path, .fifo).fails(EPERM, EACCES, EEXIST)
                r.rename(path, "mine").fails(ENOENT, EPERM, EACCES)
                r.rmdir(path).fails(ENOENT, EPERM, EACCES)
                c.expect(!r.names("..").contains(".covolume"), ".covolume is listed")
                // Below the root the name is anybody's.
                r.mkdir(".covolume").ok()
                r.rmdir(".covolume").ok()
            }
        }
    }
}
