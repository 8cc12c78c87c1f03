import CLinux
import VolumeModel

extension HostVolume {
    /// Creates an empty regular file, open(2) with O_CREAT | O_EXCL.
    ///
    /// The owner, the group (the directory's where that has its set-group-ID bit) and the mode (less
    /// the creator's umask, or by the directory's default ACL) come out as if the creator had called.
    /// Whether it may create here at all is not asked.
    public func create(
        _ name: [UInt8], in parent: FileHandle, mode: UInt32, creator: Creator
    ) throws(ErrorCode) -> Found {
        let name = try FileName(name)
        let ticket = cache.ticket()
        let number = try creating(in: parent, creator) { parent throws(ErrorCode) in
            try call(
                covol_openat(
                    parent, name.cString, covol_o_rdwr | covol_o_creat | covol_o_excl,
                    mode & 0o7777))
        }
        let descriptor = Descriptor(owning: number)
        let found = try Self.found(descriptor)
        cache.insert(descriptor, .init(handle: found.handle, purpose: .buffered), ticket)
        return found
    }

    /// Creates a file of any kind but a directory or a symbolic link, mknod(2). The kind is part of
    /// `mode`. Device numbers are kept, and mean nothing on this mount (`nodev`).
    public func makeNode(
        _ name: [UInt8], in parent: FileHandle, mode: UInt32, deviceMajor: UInt32 = 0,
        deviceMinor: UInt32 = 0, creator: Creator
    ) throws(ErrorCode) -> Found {
        let name = try FileName(name)
        switch FileKind(rawValue: mode & FileKind.mask) {
        case .regular, .fifo, .socket, .characterDevice, .blockDevice: break
        default: throw .invalid
        }
        try creating(in: parent, creator) { parent throws(ErrorCode) in
            _ = try call(covol_mknodat(parent, name.cString, mode, deviceMajor, deviceMinor))
        }
        return try find(name, in: parent)
    }

    /// Creates an empty directory, mkdir(2).
    public func makeDirectory(
        _ name: [UInt8], in parent: FileHandle, mode: UInt32, creator: Creator
    ) throws(ErrorCode) -> Found {
        let name = try FileName(name)
        try creating(in: parent, creator) { parent throws(ErrorCode) in
            _ = try call(covol_mkdirat(parent, name.cString, mode & 0o7777))
        }
        return try find(name, in: parent)
    }

    /// Creates a symbolic link, symlink(2). The target is any text of 1 to 4095 bytes without NUL.
    public func makeSymbolicLink(
        _ name: [UInt8], in parent: FileHandle, target: [UInt8], creator: Creator
    ) throws(ErrorCode) -> Found {
        let name = try FileName(name)
        let target = try FileName.target(target)
        try creating(in: parent, creator) { parent throws(ErrorCode) in
            _ = try call(covol_symlinkat(target, parent, name.cString))
        }
        return try find(name, in: parent)
    }

    /// Creates a regular file without a name, open(2) with O_TMPFILE. It lives until ``forget(_:)``
    /// or ``close()``, unless ``linkUnnamed(_:to:in:)`` gives it a name before; log recovery frees it.
    public func createUnnamed(
        in parent: FileHandle, mode: UInt32, creator: Creator
    ) throws(ErrorCode) -> Found {
        let number = try creating(in: parent, creator) { parent throws(ErrorCode) in
            try call(covol_openat(parent, ".", covol_o_rdwr | covol_o_tmpfile, mode & 0o7777))
        }
        let descriptor = Descriptor(owning: number)
        let found = try Self.found(descriptor)
        cache.pin(descriptor, found.handle)
        return found
    }

    /// Gives a file of ``createUnnamed(in:mode:creator:)`` its first name; EEXIST where it is taken.
    public func linkUnnamed(
        _ handle: FileHandle, to name: [UInt8], in parent: FileHandle
    ) throws(ErrorCode) {
        let name = try FileName(name)
        guard let unnamed = cache.pinned(handle) else { throw .stale }
        try unnamed.use { fd throws(ErrorCode) in
            try with(parent, .path) { parent throws(ErrorCode) in
                _ = try call(covol_link_fd(fd, parent, name.cString))
            }
        }
        cache.unpin(handle)
    }

    private func creating<Result>(
        in parent: FileHandle, _ creator: Creator, _ body: (Int32) throws(ErrorCode) -> Result
    ) throws(ErrorCode) -> Result {
        // The parent is opened before the identity changes; O_PATH descriptors may be walked from
        // by anyone, and O_TMPFILE asks for no more than the capabilities that the thread keeps.
        try with(parent, .path) { parent throws(ErrorCode) in
            try HostThread.run(as: creator) { () throws(ErrorCode) in try body(parent) }
        }
    }

    private static func found(_ descriptor: Descriptor) throws(ErrorCode) -> Found {
        try descriptor.use { fd throws(ErrorCode) in
            (handle: try handle(of: fd), attributes: FileAttributes(try status(fd)))
        }
    }
}
