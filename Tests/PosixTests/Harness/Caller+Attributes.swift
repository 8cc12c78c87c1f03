import Glibc
import Testing

/// The calls about attributes, times, extended attributes and space.
extension Caller {
    /// statx(2) of a name, not following a link.
    func stat(
        _ path: String, follow: Bool = false, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "statx", .workingDirectory, .text(path),
            .flags(follow ? 0 : Flags.symlinkNoFollow), .number(0x7ff),
            .room(FileStatus.lengthBytes), location: location)
    }

    /// A file's attributes, which must be had.
    func status(
        _ path: String, follow: Bool = false, at location: SourceLocation = #_sourceLocation
    ) -> FileStatus {
        let outcome = stat(path, follow: follow, at: location)
        outcome.ok(at: location)
        return FileStatus(outcome.data)
    }

    /// An open file's attributes, which must be had.
    func status(of number: Int, at location: SourceLocation = #_sourceLocation) -> FileStatus {
        let outcome = call(
            "statx", .number(number), .text(""), .flags(Flags.emptyPath), .number(0x7ff),
            .room(FileStatus.lengthBytes), location: location)
        outcome.ok(at: location)
        return FileStatus(outcome.data)
    }

    func chmod(
        _ path: String, _ mode: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "fchmodat", .workingDirectory, .text(path), .number(mode), location: location)
    }

    func fchmod(
        _ number: Int, _ mode: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("fchmod", .number(number), .number(mode), location: location)
    }

    /// - Parameter follow: whether the target of a symbolic link is meant.
    func chown(
        _ path: String, _ uid: Int, _ gid: Int, follow: Bool = true,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "fchownat", .workingDirectory, .text(path), .number(uid), .number(gid),
            .flags(follow ? 0 : Flags.symlinkNoFollow), location: location)
    }

    func fchown(
        _ number: Int, _ uid: Int, _ gid: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("fchown", .number(number), .number(uid), .number(gid), location: location)
    }

    func access(
        _ path: String, _ mode: Int32, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("faccessat", .workingDirectory, .text(path), .flags(mode), location: location)
    }

    /// utimensat(2). Each time is seconds and nanoseconds; nil for both is "now".
    func setTimes(
        _ path: String, _ atime: (Int, Int)?, _ mtime: (Int, Int)?, follow: Bool = true,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        var times = Argument.number(0)
        if atime != nil || mtime != nil {
            let atime = atime ?? (0, Flags.omit)
            let mtime = mtime ?? (0, Flags.omit)
            times = .bytes([atime.0, atime.1, mtime.0, mtime.1].flatMap { encoded(Int64($0)) })
        }
        return call(
            "utimensat", .workingDirectory, .text(path), times,
            .flags(follow ? 0 : Flags.symlinkNoFollow), location: location)
    }

    func truncate(
        _ path: String, _ size: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("truncate", .text(path), .number(size), location: location)
    }

    func ftruncate(
        _ number: Int, _ size: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("ftruncate", .number(number), .number(size), location: location)
    }

    // MARK: Extended attributes; nothing follows a link

    func setAttribute(
        _ path: String, _ name: String, _ value: [UInt8], flags: Int32 = 0,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "lsetxattr", .text(path), .text(name), .bytes(value), .number(value.count),
            .flags(flags), location: location)
    }

    func attribute(
        _ path: String, _ name: String, room: Int = 65536,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "lgetxattr", .text(path), .text(name), .room(room), .number(room),
            location: location)
    }

    func listAttributes(
        _ path: String, room: Int = 65536, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("llistxattr", .text(path), .room(room), .number(room), location: location)
    }

    func attributeNames(
        _ path: String, at location: SourceLocation = #_sourceLocation
    ) -> [String] {
        let list = listAttributes(path, at: location)
        list.ok(at: location)
        return list.data.prefix(max(0, list.result)).split(separator: 0)
            .map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    func removeAttribute(
        _ path: String, _ name: String, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("lremovexattr", .text(path), .text(name), location: location)
    }

    /// statfs(2), which must succeed.
    func space(_ path: String = ".", at location: SourceLocation = #_sourceLocation) -> Space {
        let outcome = call("statfs", .text(path), .room(256), location: location)
        outcome.ok(at: location)
        return Space(
            blockBytes: decoded(outcome.data, at: 8), blocks: decoded(outcome.data, at: 16),
            freeBlocks: decoded(outcome.data, at: 24),
            availableBlocks: decoded(outcome.data, at: 32), files: decoded(outcome.data, at: 40),
            freeFiles: decoded(outcome.data, at: 48), nameBytes: decoded(outcome.data, at: 64))
    }
}

/// A file system's room: the fields of `struct statfs` on 64-bit machines.
struct Space {
    let blockBytes: Int64
    let blocks: Int64
    let freeBlocks: Int64
    let availableBlocks: Int64
    let files: Int64
    let freeFiles: Int64
    let nameBytes: Int64

    var freeBytes: Int64 { freeBlocks * blockBytes }
}
