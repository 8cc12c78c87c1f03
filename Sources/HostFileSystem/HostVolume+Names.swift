import CLinux
import VolumeModel

/// How a rename treats the new name, renameat2(2).
public struct RenameFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// EEXIST where the new name is taken.
    public static let noReplace = RenameFlags(rawValue: 1)
    /// Both names exist and change places.
    public static let exchange = RenameFlags(rawValue: 2)
}

extension HostVolume {
    /// A file and what is known of it.
    public typealias Found = (handle: FileHandle, attributes: FileAttributes)

    /// What a name in a directory stands for; a symbolic link is not followed. `.` and `..` are names
    /// too, and `..` of the root is the root.
    public func lookup(_ name: [UInt8], in parent: FileHandle) throws(ErrorCode) -> Found {
        let name = try FileName(name)
        return try find(name, in: parent)
    }

    /// Gives a file one more name, link(2).
    public func link(
        _ handle: FileHandle, to name: [UInt8], in parent: FileHandle
    ) throws(ErrorCode) {
        let name = try FileName(name)
        try with(handle, .path) { fd throws(ErrorCode) in
            try with(parent, .path) { parent throws(ErrorCode) in
                _ = try call(covol_link_fd(fd, parent, name.cString))
            }
        }
    }

    /// Takes a name away, unlink(2). With its last name, and unless it is pinned, the file goes.
    public func unlink(_ name: [UInt8], in parent: FileHandle) throws(ErrorCode) {
        try remove(name, in: parent, isDirectory: false)
    }

    /// Removes an empty directory, rmdir(2).
    public func removeDirectory(_ name: [UInt8], in parent: FileHandle) throws(ErrorCode) {
        try remove(name, in: parent, isDirectory: true)
    }

    /// Moves a name, renameat2(2). Flags other than those of ``RenameFlags`` are EINVAL: a whiteout
    /// would be a device node that the other nodes know nothing of.
    public func rename(
        _ name: [UInt8], in parent: FileHandle, to newName: [UInt8], in newParent: FileHandle,
        flags: RenameFlags = []
    ) throws(ErrorCode) {
        guard flags.isSubset(of: [.noReplace, .exchange]) else { throw .invalid }
        let (name, newName) = (try FileName(name), try FileName(newName))
        try with(parent, .path) { parent throws(ErrorCode) in
            try with(newParent, .path) { newParent throws(ErrorCode) in
                let replaced =
                    flags.isEmpty ? try? Self.handle(of: newName, in: newParent) : nil
                try call(
                    covol_renameat2(
                        parent, name.cString, newParent, newName.cString, flags.rawValue))
                if let replaced { cache.forget(replaced) }
            }
        }
    }

    func find(_ name: FileName, in parent: FileHandle) throws(ErrorCode) -> Found {
        let ticket = cache.ticket()
        let number = try with(parent, .path) { parent throws(ErrorCode) in
            try call(covol_openat(parent, name.cString, covol_o_path, 0))
        }
        // The handle and the attributes of one descriptor belong to one file, whatever becomes of
        // the name meanwhile.
        let descriptor = Descriptor(owning: number)
        let found = try descriptor.use { fd throws(ErrorCode) in
            (handle: try Self.handle(of: fd), attributes: FileAttributes(try Self.status(fd)))
        }
        cache.insert(descriptor, .init(handle: found.handle, purpose: .path), ticket)
        return found
    }

    private func remove(
        _ name: [UInt8], in parent: FileHandle, isDirectory: Bool
    ) throws(ErrorCode) {
        let name = try FileName(name)
        try with(parent, .path) { parent throws(ErrorCode) in
            let removed = try? Self.handle(of: name, in: parent)
            try call(covol_unlinkat(parent, name.cString, isDirectory ? 1 : 0))
            if let removed { cache.forget(removed) }
        }
    }

    private static func handle(
        of name: FileName, in parent: Int32
    ) throws(ErrorCode) -> FileHandle {
        var bytes = [UInt8](repeating: 0, count: FileHandle.maximumLength)
        var length = UInt32(bytes.count)
        var kind: Int32 = 0
        try call(covol_handle_at(parent, name.cString, &kind, &bytes, &length))
        guard let handle = FileHandle(kind: kind, bytes: bytes[..<Int(length)]) else {
            throw .notSupported
        }
        return handle
    }
}
