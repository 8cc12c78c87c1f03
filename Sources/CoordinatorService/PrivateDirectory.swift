import HostFileSystem
import VolumeModel
import VolumeProtocol

/// `.covolume` at a volume's root: what the coordinator keeps on the volume itself. No node sees it.
/// Below it, `orphans` holds files that lost their last name while in use, each named by its handle.
final class PrivateDirectory: Sendable {
    static let name = Array(OwnershipMark.directoryName.utf8)
    private static let orphansName = Array("orphans".utf8)

    private let volume: HostVolume
    private let orphans: FileHandle
    let handle: FileHandle

    /// Finds the directory, or makes it.
    init(volume: HostVolume) throws(ErrorCode) {
        self.volume = volume
        handle = try Self.directory(Self.name, in: volume.rootHandle, volume)
        orphans = try Self.directory(Self.orphansName, in: handle, volume)
    }

    private static func directory(
        _ name: [UInt8], in parent: FileHandle, _ volume: HostVolume
    ) throws(ErrorCode) -> FileHandle {
        do throws(ErrorCode) {
            return try volume.lookup(name, in: parent).handle
        } catch .noEntry {
            return try volume.makeDirectory(
                name, in: parent, mode: 0o700,
                creator: HostFileSystem.Creator(userID: 0, groupID: 0, umask: 0)
            ).handle
        }
    }

    func isOwn(_ name: NameInDirectory) -> Bool {
        name.name == Self.name && name.parent == volume.rootHandle
    }

    /// The coordinator's own name is nobody else's to make or to remove.
    func refuse(_ name: NameInDirectory) throws(ErrorCode) {
        if isOwn(name) { throw .notPermitted }
    }

    private func orphanName(_ file: FileHandle) -> [UInt8] { Array(file.description.utf8) }

    /// Moves a file's last name here.
    func hide(_ name: NameInDirectory, _ file: FileHandle) throws(ErrorCode) {
        try volume.rename(name.name, in: name.parent, to: orphanName(file), in: orphans)
    }

    /// Gives a file one more name, here.
    func keepName(of file: FileHandle) throws(ErrorCode) {
        try volume.link(file, to: orphanName(file), in: orphans)
    }

    /// Makes a file that has a name here only, as one of `parent`: with its group and default ACL.
    func create(
        in parent: FileHandle, mode: UInt32, creator: HostFileSystem.Creator
    ) throws(ErrorCode) -> FileEntry {
        let found = try volume.createUnnamed(in: parent, mode: mode, creator: creator)
        try volume.linkUnnamed(found.handle, to: orphanName(found.handle), in: orphans)
        return FileEntry(handle: found.handle, attributes: try volume.attributes(found.handle))
    }

    func remove(_ file: FileHandle) throws(ErrorCode) {
        try volume.unlink(orphanName(file), in: orphans)
    }

    /// Removes everything hidden; returns how many files that were.
    func removeAll() throws(ErrorCode) -> Int {
        var count = 0
        while true {
            let entries = try volume.readDirectory(orphans, cookie: 0, maximumBytes: 1 << 16)
                .filter { $0.name != Array(".".utf8) && $0.name != Array("..".utf8) }
            if entries.isEmpty { return count }
            for entry in entries {
                try volume.unlink(entry.name, in: orphans)
                count += 1
            }
        }
    }

    private static let markName = Array(OwnershipMark.fileName.utf8)

    /// Replaces the ownership mark: a new file, whole and durable, takes the old one's name.
    func writeMark(_ bytes: [UInt8]) throws(ErrorCode) {
        let fresh = Self.markName + Array(".new".utf8)
        do throws(ErrorCode) {
            try volume.unlink(fresh, in: handle)
        } catch .noEntry {}
        let file = try volume.create(
            fresh, in: handle, mode: 0o600,
            creator: HostFileSystem.Creator(userID: 0, groupID: 0, umask: 0)
        ).handle
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(ErrorCode) in try volume.write(file, offsetBytes: 0, bytes) }
        }
        guard try outcome.get() == bytes.count else { throw .noSpace }
        try volume.syncFile(file)
        try volume.rename(fresh, in: handle, to: Self.markName, in: handle)
        // A freeze brings the journal home: whoever looks at the LUN does not replay it.
        try volume.freeze()
        try volume.thaw()
    }

    /// Removes the directory and everything in it.
    func removeItself() throws(ErrorCode) {
        _ = try removeAll()
        try volume.unlink(Self.markName, in: handle)
        try volume.removeDirectory(Self.orphansName, in: handle)
        try volume.removeDirectory(Self.name, in: volume.rootHandle)
        try volume.sync()
    }
}
