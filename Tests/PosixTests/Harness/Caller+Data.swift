import Glibc
import Testing

/// The calls that move data, and locks.
extension Caller {
    func read(
        _ number: Int, _ count: Int, offset: Int,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "pread64", .number(number), .room(count), .number(count), .number(offset),
            location: location)
    }

    func write(
        _ number: Int, _ bytes: [UInt8], offset: Int,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "pwrite64", .number(number), .bytes(bytes), .number(bytes.count), .number(offset),
            location: location)
    }

    /// read(2), at the file's own offset.
    func readNext(
        _ number: Int, _ count: Int, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("read", .number(number), .room(count), .number(count), location: location)
    }

    /// write(2), at the file's own offset.
    func writeNext(
        _ number: Int, _ bytes: [UInt8], at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "write", .number(number), .bytes(bytes), .number(bytes.count), location: location)
    }

    func seek(
        _ number: Int, _ offset: Int, _ whence: Int32,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "lseek", .number(number), .number(offset), .flags(whence), location: location)
    }

    func fallocate(
        _ number: Int, _ mode: Int32, _ offset: Int, _ length: Int,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "fallocate", .number(number), .flags(mode), .number(offset), .number(length),
            location: location)
    }

    /// Makes a file with these bytes, or replaces its contents, which must succeed.
    func fill(
        _ path: String, _ bytes: [UInt8], mode: Int = 0o644,
        at location: SourceLocation = #_sourceLocation
    ) {
        let file = opened(path, O_CREAT | O_TRUNC | O_WRONLY, mode, at: location)
        write(file, bytes, offset: 0, at: location).returns(bytes.count, at: location)
        close(file)
    }

    /// Holds a file's whole contents against these bytes.
    func contains(
        _ path: String, _ bytes: [UInt8], _ note: String = "",
        at location: SourceLocation = #_sourceLocation
    ) {
        let file = opened(path, O_RDONLY, at: location)
        guard file >= 0 else { return }
        read(file, bytes.count + 1, offset: 0, at: location).brings(bytes, note, at: location)
        close(file)
    }

    func mmap(
        _ number: Int, _ count: Int, protection: Int32, flags: Int32,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call(
            "mmap", .number(0), .number(count), .flags(protection), .flags(flags),
            .number(number), .number(0), location: location)
    }

    // MARK: Locks

    /// fcntl(2) with a lock: F_SETLK, F_SETLKW, F_GETLK or their twins of the description.
    func lock(
        _ number: Int, _ command: Int32, _ kind: Int32, start: Int = 0, length: Int = 0,
        at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        startLock(number, command, kind, start: start, length: length)
        return finish(at: location)
    }

    /// Starts such a call, which may have to wait.
    func startLock(
        _ number: Int, _ command: Int32, _ kind: Int32, start: Int = 0, length: Int = 0
    ) {
        let lock = RecordLock(kind: Int16(kind), start: Int64(start), length: Int64(length))
        self.start("fcntl", [.number(number), .flags(command), .exchange(lock.bytes)])
    }

    func flock(
        _ number: Int, _ operation: Int32, at location: SourceLocation = #_sourceLocation
    ) -> Outcome {
        call("flock", .number(number), .flags(operation), location: location)
    }

    /// Starts such a call, which may have to wait.
    func startFlock(_ number: Int, _ operation: Int32) {
        start("flock", [.number(number), .flags(operation)])
    }
}

/// `struct flock` of 64-bit machines, counted from the file's start.
struct RecordLock: Equatable {
    var kind: Int16
    var start: Int64
    var length: Int64
    var pid: Int32 = 0

    init(kind: Int16, start: Int64, length: Int64) {
        self.kind = kind
        self.start = start
        self.length = length
    }

    init(_ bytes: [UInt8]) {
        kind = decoded(bytes, at: 0)
        start = decoded(bytes, at: 8)
        length = decoded(bytes, at: 16)
        pid = decoded(bytes, at: 24)
    }

    var bytes: [UInt8] {
        encoded(kind) + encoded(Int16(SEEK_SET)) + [0, 0, 0, 0] + encoded(start)
            + encoded(length) + encoded(pid) + [0, 0, 0, 0]
    }
}
