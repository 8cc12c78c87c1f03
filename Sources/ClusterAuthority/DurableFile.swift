import Glibc

/// Small files that are either wholly there, with their mode, or not at all.
enum DurableFile {
    /// Writes a file so that a crash leaves the old state or the new one: a temporary file of the
    /// final mode, `fsync`, `link(2)` or `rename(2)`, `fsync` of the directory.
    ///
    /// - Parameter replacing: false fails with `.exists` when the name is taken.
    static func write(
        _ text: String, to path: String, mode: mode_t, replacing: Bool
    ) throws(AuthorityError) {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("create", temporary) }
        defer { unlink(temporary) }
        do {
            defer { close(descriptor) }
            // The mode given to open is cut by the umask; this one is not.
            guard fchmod(descriptor, mode) == 0 else { throw failure("set the mode of", temporary) }
            try writeAll(Array(text.utf8), to: descriptor, path: temporary)
            guard fsync(descriptor) == 0 else { throw failure("sync", temporary) }
        }
        if replacing {
            guard rename(temporary, path) == 0 else { throw failure("replace", path) }
        } else {
            guard link(temporary, path) == 0 else {
                if errno == EEXIST { throw existing(path) }
                throw failure("create", path)
            }
        }
        try syncDirectory(of: path)
    }

    /// Reads a whole small file.
    ///
    /// - Parameter secret: refuses a file that others than its owner can read.
    static func read(_ path: String, secret: Bool) throws(AuthorityError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw AuthorityError(
                    .missing, "not there: create the cluster or join the node first", path: path)
            }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read the mode of", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw AuthorityError(.malformed, "not a regular file", path: path)
        }
        guard !secret || status.st_mode & 0o077 == 0 else {
            throw AuthorityError(
                .unsafePermissions,
                "a private key that others can read: chmod 600 it, and issue a new one if it may "
                    + "have been copied", path: path)
        }
        guard status.st_size <= AuthorityLimits.fileMaximumBytes else {
            throw AuthorityError(
                .malformed, "larger than \(AuthorityLimits.fileMaximumBytes) bytes", path: path)
        }
        return try readAll(descriptor, path: path)
    }

    static func makeDirectory(_ path: String) throws(AuthorityError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("create", path) }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func existing(_ path: String) -> AuthorityError {
        AuthorityError(
            .exists, "already there, and not overwritten: choose another directory", path: path)
    }

    private static func writeAll(
        _ bytes: [UInt8], to descriptor: CInt, path: String
    ) throws(AuthorityError) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes[offset...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw failure("write", path) }
            offset += written
        }
    }

    private static func readAll(
        _ descriptor: CInt, path: String
    ) throws(AuthorityError) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while bytes.count <= AuthorityLimits.fileMaximumBytes {
            let count = chunk.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
        throw AuthorityError(.malformed, "grew while it was read", path: path)
    }

    private static func syncDirectory(of path: String) throws(AuthorityError) {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", parent) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", parent) }
    }

    private static func failure(_ what: String, _ path: String) -> AuthorityError {
        let code = errno
        return AuthorityError(
            .inputOutput, "cannot \(what) it: \(String(cString: strerror(code)))", path: path)
    }
}
