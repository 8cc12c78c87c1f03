import CLinux
import VolumeModel

extension HostVolume {
    /// A file's attributes, statx(2).
    public func attributes(_ handle: FileHandle) throws(ErrorCode) -> FileAttributes {
        try with(handle, .path) { fd throws(ErrorCode) in FileAttributes(try Self.status(fd)) }
    }

    /// Changes owner, mode and times, in this order, of any kind of file; the size only by
    /// ``truncate(_:toSizeBytes:)``: EINVAL here. Returns the attributes after it.
    ///
    /// `clearsSetID` takes away what the write of an unprivileged user would: the set-user-ID bit,
    /// the set-group-ID bit of a file that its group may execute, and file capabilities.
    @discardableResult
    public func setAttributes(
        _ handle: FileHandle, _ change: AttributeChange
    ) throws(ErrorCode) -> FileAttributes {
        guard change.sizeBytes == nil else { throw .invalid }
        return try with(handle, .path) { fd throws(ErrorCode) in
            // The owner first: a change of it takes set-id bits away that `mode` may give.
            if change.userID != nil || change.groupID != nil {
                try call(covol_chown(fd, change.userID ?? .max, change.groupID ?? .max))
            }
            if let mode = change.mode { try Self.setMode(fd, mode & 0o7777) }
            if change.clearsSetID { try Self.clearSetID(fd) }
            if change.accessTime != nil || change.modificationTime != nil {
                let (access, modification) = (change.accessTime, change.modificationTime)
                try call(
                    covol_set_times(
                        fd, access.how, access.time.seconds, access.time.nanoseconds,
                        modification.how, modification.time.seconds,
                        modification.time.nanoseconds))
            }
            return FileAttributes(try Self.status(fd))
        }
    }

    /// The target of a symbolic link, readlink(2). EINVAL for other kinds.
    public func readLink(_ handle: FileHandle) throws(ErrorCode) -> [UInt8] {
        try with(handle, .path) { fd throws(ErrorCode) in
            // For what is no link the kernel says ENOENT of an empty path.
            let mode = try Self.status(fd).mode
            guard FileKind(rawValue: mode & FileKind.mask) == .symbolicLink else { throw .invalid }
            var target = [CChar](repeating: 0, count: Limits.symbolicLinkMaximumBytes + 1)
            let length = try call(covol_readlink_fd(fd, &target, target.count))
            return target[..<length].map(UInt8.init(bitPattern:))
        }
    }

    /// What is used and free, statfs(2).
    public func statistics() throws(ErrorCode) -> FileSystemStatistics {
        try root().use { fd throws(ErrorCode) in try Self.statistics(fd) }
    }

    static func status(_ fd: Int32) throws(ErrorCode) -> covol_stat {
        var status = covol_stat()
        try call(covol_statx(fd, &status))
        return status
    }

    static func statistics(_ fd: Int32) throws(ErrorCode) -> FileSystemStatistics {
        var status = covol_statfs()
        try call(covol_statfs(fd, &status))
        return FileSystemStatistics(
            blocks: status.blocks, blocksFree: status.blocks_free,
            blocksAvailable: status.blocks_available, files: status.files,
            filesFree: status.files_free, blockSizeBytes: status.block_size,
            nameLengthMaximum: status.name_maximum)
    }

    static func handle(of fd: Int32) throws(ErrorCode) -> FileHandle {
        var bytes = [UInt8](repeating: 0, count: FileHandle.maximumLength)
        var length = UInt32(bytes.count)
        var kind: Int32 = 0
        try call(covol_handle_of(fd, &kind, &bytes, &length))
        guard let handle = FileHandle(kind: kind, bytes: bytes[..<Int(length)]) else {
            throw .notSupported
        }
        return handle
    }

    private static func setMode(_ fd: Int32, _ mode: UInt32) throws(ErrorCode) {
        do throws(ErrorCode) {
            try call(covol_chmod_empty(fd, mode))
        } catch {
            guard error == .notImplemented else { throw error }
            try call(covol_chmod_path(descriptorPath(fd), mode))
        }
    }

    private static func clearSetID(_ fd: Int32) throws(ErrorCode) {
        let (setUserID, setGroupID, groupExecute): (UInt32, UInt32, UInt32) = (0o4000, 0o2000, 0o10)
        let mode = try status(fd).mode
        guard FileKind(rawValue: mode & FileKind.mask) == .regular else { return }
        var cleared = mode & 0o7777 & ~setUserID
        if cleared & groupExecute != 0 { cleared &= ~setGroupID }
        if cleared != mode & 0o7777 { try setMode(fd, cleared) }
        do throws(ErrorCode) {
            try call(covol_removexattr(descriptorPath(fd), "security.capability"))
        } catch {
            guard error == .noData || error == .notSupported else { throw error }
        }
    }

    /// A path that leads to the descriptor's own file, whatever its kind, without following it
    /// further: for the calls that do not take an `O_PATH` descriptor.
    static func descriptorPath(_ fd: Int32) -> String { "/proc/self/fd/\(fd)" }
}

extension TimeChange? {
    fileprivate var how: Int32 {
        switch self {
        case nil: 0
        case .now: 1
        case .to: 2
        }
    }

    fileprivate var time: Timestamp {
        if case .to(let time) = self { time } else { Timestamp(seconds: 0, nanoseconds: 0) }
    }
}

extension FileAttributes {
    init(_ status: covol_stat) {
        self.init(
            inode: status.inode, sizeBytes: status.size, blocks512: status.blocks,
            accessTime: Timestamp(seconds: status.atime, nanoseconds: status.atime_ns),
            modificationTime: Timestamp(seconds: status.mtime, nanoseconds: status.mtime_ns),
            changeTime: Timestamp(seconds: status.ctime, nanoseconds: status.ctime_ns),
            mode: status.mode, linkCount: status.links, userID: status.uid, groupID: status.gid,
            deviceMajor: status.rdev_major, deviceMinor: status.rdev_minor,
            blockSizeBytes: status.block_size)
    }
}
