import CLinux
import Glibc

extension LabError {
    /// A failed system call, from `errno` unless another error is given.
    static func system(_ call: String, _ subject: String, error: Int32 = errno) -> LabError {
        let reason = String(cString: strerror(error))
        return LabError(.systemCall, "\(call) \(subject): \(reason)")
    }
}

/// Small files, whole: state files, and those under /proc and /sys.
enum SystemFile {
    static func bytes(
        _ path: String, limitBytes: Int = LabLimits.maximumStateFileBytes
    ) throws(LabError) -> [UInt8] {
        let file = try Descriptor(opening: path)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(file.number, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw LabError.system("read", path) }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limitBytes else {
                throw LabError(.systemCall, "\(path) is larger than \(limitBytes) bytes")
            }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    static func text(_ path: String) throws(LabError) -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    /// Writes into an existing file or one of the kernel's, in one call.
    static func write(_ text: String, into path: String) throws(LabError) {
        let file = try Descriptor(opening: path, flags: O_WRONLY)
        try write(Array(text.utf8), to: file.number, path)
    }

    /// Replaces a file as a whole: a reader sees the old content or the new, also after a crash.
    static func replace(_ path: String, with bytes: [UInt8]) throws(LabError) {
        let new = "\(path).new.\(getpid())"
        do throws(LabError) {
            let file = try Descriptor(opening: new, flags: O_WRONLY | O_CREAT | O_TRUNC)
            try write(bytes, to: file.number, new)
            guard fsync(file.number) == 0 else { throw LabError.system("fsync", new) }
            guard rename(new, path) == 0 else { throw LabError.system("rename", path) }
        } catch {
            unlink(new)
            throw error
        }
    }

    static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws(LabError) {
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw LabError.system("mkdir", path)
        }
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Names in a directory, sorted, without `.` and `..`; none when it does not exist.
    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                // Sound: the kernel's name is a C string within the entry, which lives until
                // the next readdir.
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The path without symbolic links, `.` and `..`, or nil when it does not exist.
    static func canonical(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func write(
        _ bytes: [UInt8], to number: Int32, _ path: String
    ) throws(LabError) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(number, buffer.baseAddress! + offset, bytes.count - offset)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw LabError.system("write", path) }
            offset += count
        }
    }

    /// A descriptor in memory that reads as `bytes` from the start, for a command's input.
    static func memory(_ bytes: [UInt8]) throws(LabError) -> Int32 {
        let number = covol_memfd("covol-input")
        guard number >= 0 else { throw LabError.system("memfd_create", "", error: -number) }
        do throws(LabError) {
            try write(bytes, to: number, "memfd")
        } catch {
            close(number)
            throw error
        }
        lseek(number, 0, SEEK_SET)
        return number
    }
}
