import CLinux
import Glibc
import VolumeModel

extension HostVolume {
    /// Mounts the file system of a block device in no namespace: fsopen(2), fsconfig(2), fsmount(2),
    /// never move_mount(2). Access times are not kept (`noatime`): a read would be a metadata change.
    ///
    /// - Parameters:
    ///   - device: a block device of this epoch that nobody else has open (rule fresh-mount).
    ///   - descriptorsMaximum: how many descriptors are kept open between operations.
    /// - Throws: what the kernel said, also where the device is in use, or an option did not hold.
    public static func mount(
        device: String, kind: FileSystemKind, descriptorsMaximum: Int = 512
    ) throws(HostFileSystemError) -> HostVolume {
        guard sysconf(Int32(_SC_PAGESIZE)) == Int(Limits.blockSizeBytes) else {
            throw HostFileSystemError(
                "this node's pages are not of \(Limits.blockSizeBytes) bytes, as a volume's blocks "
                    + "must be; use a kernel with such pages")
        }
        let descriptors = try mountDetached(
            device: device, kind: kind, settings: MountOptions.settings(kind), isReadOnly: false)
        let handle: FileHandle
        let statistics: FileSystemStatistics
        do throws(ErrorCode) {
            (handle, statistics) = try descriptors.root.use { root throws(ErrorCode) in
                (try Self.handle(of: root), try Self.statistics(root))
            }
        } catch {
            throw HostFileSystemError("\(device): looking at the new mount failed", code: error)
        }
        guard UInt64(statistics.blockSizeBytes) == Limits.blockSizeBytes else {
            throw HostFileSystemError(
                "\(device): the file system's blocks are \(statistics.blockSizeBytes) bytes, and "
                    + "a volume's must be \(Limits.blockSizeBytes)")
        }
        if kind == .ext4 {
            try checkExt4Options(descriptors.root, device: device)
            try keepUnwrittenUnwritten(descriptors.root, device: device)
        }
        return HostVolume(
            device: device, kind: kind, rootHandle: handle, descriptors: descriptors,
            descriptorsMaximum: descriptorsMaximum)
    }

    /// Waits until the kernel gives the device exclusively, which it does only once it is truly
    /// unmounted (open(2), O_EXCL of a block device).
    public static func proveUnmounted(
        device: String, timeoutSeconds: Double = 10
    ) throws(HostFileSystemError) {
        let intervalMicroseconds: UInt32 = 10_000
        var attempts = max(1, Int(timeoutSeconds * 1e6) / Int(intervalMicroseconds))
        while true {
            let result = covol_block_open(device, covol_o_rdonly | covol_block_exclusive)
            if result >= 0 {
                _ = covol_close(result)
                return
            }
            guard result == -EBUSY, attempts > 0 else {
                throw HostFileSystemError(
                    "\(device) cannot be opened exclusively, so it may still be mounted",
                    code: ErrorCode(-result))
            }
            attempts -= 1
            usleep(intervalMicroseconds)
        }
    }

    static func mountDetached(
        device: String, kind: FileSystemKind, settings: [(key: String, value: String?)],
        isReadOnly: Bool
    ) throws(HostFileSystemError) -> Descriptors {
        let context: Descriptor
        do throws(ErrorCode) {
            context = Descriptor(owning: try call(covol_fs_open(kind.rawValue)))
        } catch {
            throw HostFileSystemError(
                "this kernel cannot mount \(kind.rawValue); load its module", code: error)
        }
        var step = "source"
        do throws(ErrorCode) {
            return try context.use { fd throws(ErrorCode) in
                try call(covol_fs_set_string(fd, "source", device))
                for (key, value) in settings {
                    step = "option \(key)"
                    if let value {
                        try call(covol_fs_set_string(fd, key, value))
                    } else {
                        try call(covol_fs_set_flag(fd, key))
                    }
                }
                step = isReadOnly ? "option ro" : "option rw"
                try call(covol_fs_set_flag(fd, isReadOnly ? "ro" : "rw"))
                step = "the mount"
                try call(covol_fs_create_exclusively(fd))
                let mount = Descriptor(owning: try call(covol_fs_mount(fd, isReadOnly ? 1 : 0)))
                step = "the root directory"
                let root = try mount.use { mount throws(ErrorCode) in
                    try call(covol_openat(mount, ".", covol_o_rdonly | covol_o_directory, 0))
                }
                return Descriptors(mount: mount, root: Descriptor(owning: root))
            }
        } catch {
            let kernel = messages(context)
            let hint =
                error == .busy ? "; the device is mounted or held by another program" : ""
            throw HostFileSystemError(
                "mounting \(device) as \(kind.rawValue) failed at \(step)\(hint)"
                    + (kernel.isEmpty ? "" : ": " + kernel.joined(separator: "; ")), code: error)
        }
    }

    /// What the kernel has to say about a failed mount: one message per read, `e `, `w ` or `i `
    /// before it.
    private static func messages(_ context: Descriptor) -> [String] {
        let messagesMaximum = 32
        var found: [String] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while found.count < messagesMaximum {
            let length = try? context.use { fd throws(ErrorCode) in
                try call(Glibc.read(fd, &buffer, buffer.count))
            }
            guard let length, length > 0 else { break }
            let text = String(decoding: buffer[..<length], as: UTF8.self)
            found.append(String(text.drop { $0 == "\n" }.dropFirst(2)).trimmingNewline)
        }
        return found
    }

    /// Rule recall-before-remap: a write changes the map where it writes, and nowhere else. ext4 would
    /// rather write zeros to up to 32 KiB beside it than split an unwritten extent
    /// (`Documentation/ABI/testing/sysfs-fs-ext4`, extent_max_zeroout_kb): what a node was told to be
    /// unwritten would be written, for the next node to write directly.
    private static func keepUnwrittenUnwritten(
        _ root: Descriptor, device: String
    ) throws(HostFileSystemError) {
        do throws(ErrorCode) {
            let status = try root.use { fd throws(ErrorCode) in try Self.status(fd) }
            let name = try blockDeviceName(major: status.dev_major, minor: status.dev_minor)
            let setting = "/sys/fs/ext4/\(name)/extent_max_zeroout_kb"
            try writeSmallFile(setting, "0")
            guard try readSmallFile(setting).trimmingNewline == "0" else { throw .invalid }
        } catch {
            throw HostFileSystemError(
                "\(device): extent_max_zeroout_kb could not be set in /sys/fs/ext4; is /sys mounted, "
                    + "and writable?", code: error)
        }
    }

    /// Rule sole-mutator: ext4 shows its options in `/proc/fs/ext4`; XFS shows those of a mount in no
    /// namespace nowhere, and its superblock cannot change what was set.
    private static func checkExt4Options(
        _ root: Descriptor, device: String
    ) throws(HostFileSystemError) {
        let shown: String
        do throws(ErrorCode) {
            let status = try root.use { fd throws(ErrorCode) in try Self.status(fd) }
            let name = try blockDeviceName(major: status.dev_major, minor: status.dev_minor)
            shown = try readSmallFile("/proc/fs/ext4/\(name)/options")
        } catch {
            throw HostFileSystemError(
                "\(device): the mount's options cannot be read in /proc/fs/ext4, so they are not "
                    + "known to hold; is /proc mounted?", code: error)
        }
        let missing = MountOptions.missingExt4Options(in: shown)
        guard missing.isEmpty else {
            throw HostFileSystemError(
                "\(device): the kernel did not take the mount options "
                    + missing.joined(separator: ", "))
        }
    }
}

extension String {
    fileprivate var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
