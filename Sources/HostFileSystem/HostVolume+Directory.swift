import CLinux
import VolumeModel

extension HostVolume {
    /// The next entries of a directory, `.` and `..` among them, getdents64(2).
    ///
    /// - Parameters:
    ///   - cookie: 0 for the start, or the `nextCookie` of the last entry seen. It is the file
    ///     system's own and stays valid while entries come and go.
    ///   - maximumBytes: room for the kernel's records, about 24 bytes and the name each; held to
    ///     between 1 KiB and ``Limits/directoryPageMaximumBytes``.
    /// - Returns: the entries in the file system's order; none at the end.
    public func readDirectory(
        _ handle: FileHandle, cookie: Int64, maximumBytes: Int
    ) throws(ErrorCode) -> [DirectoryEntry] {
        guard cookie >= 0 else { throw .invalid }
        // A descriptor of its own: its position belongs to this call alone.
        let directory = try open(handle, flags: covol_o_rdonly | covol_o_directory)
        let room = min(max(maximumBytes, 1024), Limits.directoryPageMaximumBytes)
        return try directory.use { fd throws(ErrorCode) in
            if cookie != 0 { try call(Int(covol_lseek(fd, cookie, covol_seek_set))) }
            var buffer = [UInt8](repeating: 0, count: room)
            let length = try call(covol_getdents(fd, &buffer, buffer.count))
            return try DirectoryDecoder.entries(buffer[..<length])
        }
    }
}

/// Decodes what getdents64(2) returns: `struct linux_dirent64` of `linux/dirent.h`, whose first 19
/// bytes are inode, offset, record length and type.
enum DirectoryDecoder {
    private static let headerBytes = 19

    static func entries(_ bytes: ArraySlice<UInt8>) throws(ErrorCode) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= headerBytes else { throw .inputOutput }
            let start = rest.startIndex
            let length = Int(rest[start + 16]) | Int(rest[start + 17]) << 8
            guard length > headerBytes, length <= rest.count else { throw .inputOutput }
            let name = rest[(start + headerBytes)..<(start + length)].prefix { $0 != 0 }
            guard !name.isEmpty, name.count <= Limits.nameMaximumBytes else { throw .inputOutput }
            entries.append(
                DirectoryEntry(
                    name: Array(name), inode: word(rest, start),
                    kind: FileKind(directoryEntryType: rest[start + 18]),
                    nextCookie: Int64(bitPattern: word(rest, start + 8))))
            rest = rest[(start + length)...]
        }
        return entries
    }

    private static func word(_ bytes: ArraySlice<UInt8>, _ start: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
    }
}
