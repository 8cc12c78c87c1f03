import Foundation
import Testing

extension PosixTests {
    @Suite struct DirectoryTests {
        /// Reading goes on from any position while what was read is removed: nothing is missed,
        /// nothing shown twice.
        @Test(arguments: Place.all) func largeDirectory(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("d").ok()
                // Links are made faster than files.
                for number in 0..<10 { r.create("d/file-\(number)") }
                let callers = (0..<8).map { _ in c.another() }
                func inParallel(_ names: [String], _ call: (String) -> (String, [Argument])) {
                    for start in stride(from: 0, to: names.count, by: callers.count) {
                        let part = names[start..<min(names.count, start + callers.count)]
                        for (caller, name) in zip(callers, part) {
                            let (system, arguments) = call(name)
                            caller.start(system, arguments)
                        }
                        for (caller, _) in zip(callers, part) { caller.finish().ok() }
                    }
                }
                // 10,000 entries, or as many as a busy machine makes in the time, 1000 at least.
                var count = 10
                let deadline = Date().addingTimeInterval(4)
                while count < 10_000, count < 1000 || Date() < deadline, !c.report.isHung {
                    let names = (count..<(count + 90)).map { "d/name-\($0)" }
                    inParallel(names) { name in
                        let file = "d/file-\(name.utf8.last! - 48)"
                        return (
                            "linkat",
                            [
                                .workingDirectory, .text(file), .workingDirectory, .text(name),
                                .number(0),
                            ]
                        )
                    }
                    count += names.count
                }
                let all = r.names("d")
                c.equal(all.count, count, "names")
                c.equal(Set(all).count, count, "different names")
                let directory = r.opened("d", O_RDONLY | Flags.directory)
                var seen: [String] = []
                while true {
                    let entries = r.readDirectory(directory, room: 4096)
                    if entries.isEmpty { break }
                    for entry in entries where entry.name != "." && entry.name != ".." {
                        seen.append(entry.name)
                    }
                    // As rm -r does, though not all: what stays must not show again.
                    for name in entries.map(\.name).filter({ $0.hasPrefix("name-") }).prefix(20) {
                        r.unlink("d/" + name).ok()
                    }
                }
                c.equal(seen.count, count, "entries read while removing")
                c.equal(Set(seen).count, count, "different entries read while removing")
                r.seek(directory, 0, SEEK_SET).ok()
                var left = 0
                while true {
                    let entries = r.readDirectory(directory)
                    if entries.isEmpty { break }
                    left += entries.count
                }
                let rest = r.names("d")
                c.equal(left, rest.count + 2, "entries after rewinding")
                inParallel(rest) { name in
                    ("unlinkat", [.workingDirectory, .text("d/" + name), .number(0)])
                }
                r.rmdir("d").ok()
            }
        }

        @Test(arguments: Place.all) func positions(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                r.mkdir("d").ok()
                for number in 0..<300 {
                    r.make("d/\(number)", [.regular, .directory, .link, .fifo][number % 4])
                }
                let directory = r.opened("d", O_RDONLY | Flags.directory)
                func rest() -> [DirectoryEntry] {
                    var all: [DirectoryEntry] = []
                    while true {
                        let entries = r.readDirectory(directory)
                        if entries.isEmpty { return all }
                        all += entries
                    }
                }
                let entries = rest()
                c.equal(entries.count, 302, "entries")
                c.expect(entries.contains { $0.name == "." }, "no .")
                c.expect(entries.contains { $0.name == ".." }, "no ..")
                for (index, entry) in entries.enumerated() where index.isMultiple(of: 37) {
                    r.seek(directory, Int(entry.position), SEEK_SET).ok()
                    c.expect(
                        rest() == Array(entries[(index + 1)...]),
                        "other entries follow entry \(index) than before")
                }
                // DT_REG 8, DT_DIR 4, DT_LNK 10, DT_FIFO 1.
                for entry in entries {
                    guard let number = Int(entry.name) else { continue }
                    c.equal(entry.kind, [8, 4, 10, 1][number % 4], "d_type of \(number)")
                }
                r.seek(directory, 0, SEEK_SET).ok()
                r.call("getdents64", .number(directory), .room(8), .number(8)).fails(EINVAL)
                r.call("fsync", .number(directory)).ok()
                r.call("fdatasync", .number(directory)).ok()
                c.equal(r.names("d").count, 300, "by another descriptor")
                let file = r.opened("d/0")
                r.call("getdents64", .number(file), .room(100), .number(100)).fails(ENOTDIR)
            }
        }

        @Test(arguments: Place.all) func workingDirectories(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                for path in ["a", "a/b", "a/b/c"] { r.mkdir(path).ok() }
                r.chdir("a/b/c").ok()
                c.equal(r.workingDirectory(), c.directory + "/a/b/c", "getcwd")
                r.create("f")
                r.chdir("..").ok()
                c.equal(r.workingDirectory(), c.directory + "/a/b", "getcwd after ..")
                c.equal(r.names("c"), ["f"], "a relative name")
                r.rename("../../a", "../../z").ok()
                c.equal(r.workingDirectory(), c.directory + "/z/b", "getcwd after a rename")
                r.chdir("../..").ok()
                r.chdir("z/b/c/f").fails(ENOTDIR)
                let directory = r.opened("z/b", O_RDONLY | Flags.directory)
                r.call("fchdir", .number(directory)).ok()
                c.equal(r.workingDirectory(), c.directory + "/z/b", "fchdir")
                // Calls relative to a descriptor.
                r.call("mkdirat", .number(directory), .text("at"), .number(0o755)).ok()
                r.call("unlinkat", .number(directory), .text("at"), .flags(Flags.removeDirectory))
                    .ok()
                r.chmod("c", 0o600).ok()
                r.chmod(c.directory + "/z", 0o700).ok()
                c.alice.chdir("z").fails(EACCES)
                let file = r.opened("c/f")
                r.call("fchdir", .number(file)).fails(ENOTDIR)
                r.call("mkdirat", .number(file), .text("x"), .number(0o755)).fails(ENOTDIR)
            }
        }

        /// A program runs from the file system, and nobody writes to it meanwhile.
        @Test(arguments: Place.all) func programs(_ place: Place) async throws {
            try await place.check { c in
                let r = c.root
                guard let helper = try? Caller.helper() else {
                    return c.expect(false, "no posix-helper")
                }
                r.exec("/bin/cp", helper, "program").returns(0)
                r.chmod("program", 0o755).ok()
                r.exec("./program").returns(2 << 8, "its exit status without arguments")
                r.chmod("program", 0o644).ok()
                r.exec("./program").fails(EACCES)
                r.chmod("program", 0o755).ok()
                let writer = r.opened("program", O_WRONLY)
                r.exec("./program").fails(ETXTBSY)
                r.close(writer)
                let runs = c.another(program: c.directory + "/program")
                r.open("program", O_WRONLY).fails(ETXTBSY)
                r.truncate("program", 0).fails(ETXTBSY)
                r.close(r.opened("program", O_RDONLY))
                r.rename("program", "moved").ok()
                r.unlink("moved").ok()
                c.equal(runs.names(), [], "a program without a name goes on")
                runs.end()
                r.fill("script", Array("#!/bin/sh\nexit 3\n".utf8), mode: 0o755)
                r.exec("./script").returns(3 << 8, "a script")
                c.alice.exec("./script").returns(3 << 8, "as another user")
                r.chmod("script", 0o700).ok()
                c.alice.exec("./script").fails(EACCES)
                r.fill("nonsense", [1, 2, 3, 4], mode: 0o755)
                r.exec("./nonsense").fails(ENOEXEC)
                r.mkdir("d").ok()
                r.exec("./d").fails(EACCES)
            }
        }
    }
}
