import Glibc
import Testing

/// The calls that make, change and remove names. Paths are relative to the check's directory.
extension Caller {
    /// open(2).
    func open(
        _ path: String, _ flags: Int32 = O_RDONLY, _ mode: Int = 0o644,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "openat", .workingDirectory, .text(path), .flags(flags | O_CLOEXEC), .number(mode),
            location: location)
    }

    /// Opens, which must succeed.
    /// - Returns: the descriptor.
    func opened(
        _ path: String, _ flags: Int32 = O_RDWR, _ mode: Int = 0o644,
        at location: SourceLocation = #_sourceLocation
    ) -> Int {
        open(path, flags, mode, at: location).ok(at: location)
    }

    @discardableResult
    func close(_ number: Int) -> Outcome { call("close", .number(number)) }

    /// Makes an empty file, which must succeed.
    func create(
        _ path: String, _ mode: Int = 0o644, at location: SourceLocation = #_sourceLocation
    ) {
        close(opened(path, O_CREAT | O_EXCL | O_WRONLY, mode, at: location))
    }

    func mkdir(
        _ path: String, _ mode: Int = 0o755, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "mkdirat", .workingDirectory, .text(path), .number(mode), location: location)
    }

    func mknod(
        _ path: String, _ kind: FileStatus.Kind, _ mode: Int = 0o644, device: Int = 0,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "mknodat", .workingDirectory, .text(path), .number(Int(kind.rawValue) | mode),
            .number(device), location: location)
    }

    /// Makes a file of any type, which must succeed. A link points to `nowhere`, a device is the
    /// memory's 1:3 or a loop device's 7:250.
    func make(
        _ path: String, _ kind: FileStatus.Kind, _ mode: Int = 0o644,
        at location: SourceLocation = #_sourceLocation
    ) {
        switch kind {
        case .regular: create(path, mode, at: location)
        case .directory: mkdir(path, mode, at: location).ok(at: location)
        case .link: symlink("nowhere", path, at: location).ok(at: location)
        case .character: mknod(path, kind, mode, device: 1 << 8 | 3).ok(at: location)
        case .block: mknod(path, kind, mode, device: 7 << 8 | 250).ok(at: location)
        case .fifo, .socket: mknod(path, kind, mode, at: location).ok(at: location)
        }
    }

    func link(
        _ old: String, _ new: String, flags: Int32 = 0,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "linkat", .workingDirectory, .text(old), .workingDirectory, .text(new),
            .flags(flags), location: location)
    }

    func symlink(
        _ target: String, _ path: String, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "symlinkat", .text(target), .workingDirectory, .text(path), location: location)
    }

    func readlink(
        _ path: String, room: Int = 8192, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "readlinkat", .workingDirectory, .text(path), .room(room), .number(room),
            location: location)
    }

    func unlink(_ path: String, at location: SourceLocation = #_sourceLocation) -> Outcome {
        call("unlinkat", .workingDirectory, .text(path), .number(0), location: location)
    }

    func rmdir(_ path: String, at location: SourceLocation = #_sourceLocation) -> Outcome {
        call(
            "unlinkat", .workingDirectory, .text(path), .flags(Flags.removeDirectory),
            location: location)
    }

    /// Removes a file of any type, which must succeed.
    func remove(_ path: String, at location: SourceLocation = #_sourceLocation) {
        if status(path, at: location).kind == .directory {
            rmdir(path, at: location).ok(at: location)
        } else {
            unlink(path, at: location).ok(at: location)
        }
    }

    func rename(
        _ old: String, _ new: String, flags: Int32 = 0,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "renameat2", .workingDirectory, .text(old), .workingDirectory, .text(new),
            .flags(flags), location: location)
    }

    @discardableResult
    func umask(_ mask: Int) -> Int { call("umask", .number(mask)).result }

    /// Runs a program of the file system and waits for its end.
    func exec(_ words: String..., at location: SourceLocation = #_sourceLocation) -> Outcome {
        start("exec", words.map(Argument.text))
        return finish(at: location)
    }

    func chdir(_ path: String, at location: SourceLocation = #_sourceLocation) -> Outcome {
        call("chdir", .text(path), location: location)
    }

    /// The working directory's path, or an empty text.
    func workingDirectory(at location: SourceLocation = #_sourceLocation) -> String {
        let found = call("getcwd", .room(4096), .number(4096), location: location)
        found.ok(at: location)
        return String(decoding: found.data.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The names in a directory, sorted, without `.` and `..`.
    func names(
        _ path: String = ".", at location: SourceLocation = #_sourceLocation
    ) -> [String] {
        let directory = opened(path, O_RDONLY | Flags.directory, at: location)
        guard directory >= 0 else { return [] }
        defer { close(directory) }
        var names: [String] = []
        while true {
            let entries = readDirectory(directory, at: location)
            if entries.isEmpty { break }
            names += entries.map(\.name)
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    /// The next entries of a directory: getdents64(2).
    func readDirectory(
        _ number: Int, room: Int = 32768, at location: SourceLocation = #_sourceLocation
    ) -> [DirectoryEntry] {
        let read = call(
            "getdents64", .number(number), .room(room), .number(room), location: location)
        read.ok(at: location)
        return DirectoryEntry.all(in: Array(read.data.prefix(max(0, read.result))))
    }
}

/// An entry of getdents64(2).
struct DirectoryEntry: Equatable {
    let inode: UInt64
    /// Where reading goes on after this entry: for lseek(2).
    let position: Int64
    let kind: UInt8
    let name: String

    static func all(in bytes: [UInt8]) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        var offset = 0
        while offset + 19 <= bytes.count {
            let length = Int(decoded(bytes, at: offset + 16, as: UInt16.self))
            let name = bytes[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
            entries.append(
                DirectoryEntry(
                    inode: decoded(bytes, at: offset), position: decoded(bytes, at: offset + 8),
                    kind: bytes[offset + 18], name: String(decoding: name, as: UTF8.self)))
            offset += length
        }
        return entries
    }
}
