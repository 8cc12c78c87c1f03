import HostFileSystem
import VolumeModel
import VolumeProtocol

/// `.covolume` at a volume's root: what the coordinator keeps on the volume itself. No node sees it.
///
/// - `orphans` holds files that lost their last name while in use, each named by its handle.
/// - `growth` holds a note for every file that is lengthened beyond what is shown of it.
/// - `once` holds what became of the last request on each slot, see ``OperationJournal``.
/// - `reserve` keeps some room for all this on a full volume.
final class PrivateDirectory: Sendable {
    static let name = Array(OwnershipMark.directoryName.utf8)
    private static let orphansName = Array("orphans".utf8)
    private static let growthName = Array("growth".utf8)
    private static let onceName = Array("once".utf8)
    static let creator = HostFileSystem.Creator(userID: 0, groupID: 0, umask: 0)

    let volume: HostVolume
    private let orphans: FileHandle
    let handle: FileHandle
    let growth: GrowthNotes
    let journal: OperationJournal
    let reserve: SpaceReserve

    /// Finds the directory, or makes it.
    init(volume: HostVolume) throws(ErrorCode) {
        self.volume = volume
        handle = try Self.directory(Self.name, in: volume.rootHandle, volume)
        orphans = try Self.directory(Self.orphansName, in: handle, volume)
        reserve = try SpaceReserve(volume: volume, directory: handle)
        growth = GrowthNotes(
            volume: volume, directory: try Self.directory(Self.growthName, in: handle, volume))
        journal = OperationJournal(
            volume: volume, directory: try Self.directory(Self.onceName, in: handle, volume),
            reserve: reserve)
    }

    private static func directory(
        _ name: [UInt8], in parent: FileHandle, _ volume: HostVolume
    ) throws(ErrorCode) -> FileHandle {
        do throws(ErrorCode) {
            return try volume.lookup(name, in: parent).handle
        } catch .noEntry {
            return try volume.makeDirectory(name, in: parent, mode: 0o700, creator: creator)
                .handle
        }
    }

    func isOwn(_ name: NameInDirectory) -> Bool {
        name.name == Self.name && name.parent == volume.rootHandle
    }

    /// The coordinator's own name is nobody else's to make or to remove.
    func refuse(_ name: NameInDirectory) throws(ErrorCode) {
        if isOwn(name) { throw .notPermitted }
    }

    // MARK: Hidden files

    private func orphanName(_ file: FileHandle) -> [UInt8] { Array(file.description.utf8) }

    /// Moves a file's last name here.
    func hide(_ name: NameInDirectory, _ file: FileHandle) throws(ErrorCode) {
        try reserve.use { () throws(ErrorCode) in
            try volume.rename(name.name, in: name.parent, to: orphanName(file), in: orphans)
        }
    }

    /// Gives a file one more name, here; it may have it from an attempt that a crash cut short.
    func keepName(of file: FileHandle) throws(ErrorCode) {
        do throws(ErrorCode) {
            try reserve.use { () throws(ErrorCode) in
                try volume.link(file, to: orphanName(file), in: orphans)
            }
        } catch .exists {}
    }

    /// Makes a file that has a name here only, as one of `parent`: with its group and default ACL.
    /// `record` is called before it gets that name.
    func create(
        in parent: FileHandle, mode: UInt32, creator: HostFileSystem.Creator,
        record: (FileHandle) throws(ErrorCode) -> Void
    ) throws(ErrorCode) -> FileEntry {
        let found = try volume.createUnnamed(in: parent, mode: mode, creator: creator)
        do throws(ErrorCode) {
            try record(found.handle)
            try volume.linkUnnamed(found.handle, to: orphanName(found.handle), in: orphans)
        } catch {
            volume.forget(found.handle)
            throw error
        }
        return FileEntry(handle: found.handle, attributes: try volume.attributes(found.handle))
    }

    func remove(_ file: FileHandle) throws(ErrorCode) {
        try volume.unlink(orphanName(file), in: orphans)
    }

    func isHidden(_ file: FileHandle) throws(ErrorCode) -> Bool {
        do throws(ErrorCode) {
            return try volume.lookup(orphanName(file), in: orphans).handle == file
        } catch .noEntry {
            return false
        }
    }

    /// Every file that is hidden.
    func hiddenFiles() throws(ErrorCode) -> [FileHandle] {
        try volume.names(in: orphans).compactMap { FileHandle(String(decoding: $0, as: UTF8.self)) }
    }

    // MARK: The ownership mark

    private static let markName = Array(OwnershipMark.fileName.utf8)

    /// Replaces the ownership mark: a new file, whole and durable, takes the old one's name. Where it
    /// says so already nothing is written: a full volume must find its next coordinator.
    func writeMark(_ bytes: [UInt8]) throws(ErrorCode) {
        if try mark(lengthBytes: bytes.count) != bytes {
            try reserve.use { () throws(ErrorCode) in try replaceMark(bytes) }
        }
        // A freeze brings the journal home: whoever looks at the LUN does not replay it.
        try volume.freeze()
        try volume.thaw()
    }

    /// What the mark says, as far as it is so long; nil: there is none, or it is longer or shorter.
    private func mark(lengthBytes: Int) throws(ErrorCode) -> [UInt8]? {
        let file: FileHandle
        do throws(ErrorCode) {
            file = try volume.lookup(Self.markName, in: handle).handle
        } catch .noEntry {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: lengthBytes + 1)
        let outcome = bytes.withUnsafeMutableBytes { bytes in
            Result { () throws(ErrorCode) in try volume.read(file, offsetBytes: 0, into: bytes) }
        }
        return try outcome.get() == lengthBytes ? Array(bytes.dropLast()) : nil
    }

    private func replaceMark(_ bytes: [UInt8]) throws(ErrorCode) {
        let fresh = Self.markName + Array(".new".utf8)
        try volume.unlinkIfThere(fresh, in: handle)
        let file = try volume.create(fresh, in: handle, mode: 0o600, creator: Self.creator).handle
        let outcome = bytes.withUnsafeBytes { bytes in
            Result { () throws(ErrorCode) in try volume.write(file, offsetBytes: 0, bytes) }
        }
        guard try outcome.get() == bytes.count else { throw .noSpace }
        try volume.syncFile(file)
        try volume.rename(fresh, in: handle, to: Self.markName, in: handle)
    }

    /// Removes the directory and everything in it.
    func removeItself() throws(ErrorCode) {
        for (name, directory) in [
            (Self.orphansName, orphans), (Self.growthName, growth.directory),
            (Self.onceName, journal.directory),
        ] {
            for entry in try volume.names(in: directory) {
                try volume.unlink(entry, in: directory)
            }
            try volume.removeDirectory(name, in: handle)
        }
        try reserve.remove()
        try volume.unlinkIfThere(Self.markName, in: handle)
        try volume.removeDirectory(Self.name, in: volume.rootHandle)
        try volume.sync()
    }
}

extension HostVolume {
    /// The names in a directory of the coordinator's own.
    func names(in directory: FileHandle) throws(ErrorCode) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var cookie: Int64 = 0
        while true {
            let entries = try readDirectory(directory, cookie: cookie, maximumBytes: 1 << 16)
            guard let last = entries.last else { return names }
            cookie = last.nextCookie
            names += entries.map(\.name).filter { $0 != [0x2e] && $0 != [0x2e, 0x2e] }
        }
    }

    func unlinkIfThere(_ name: [UInt8], in directory: FileHandle) throws(ErrorCode) {
        do throws(ErrorCode) {
            try unlink(name, in: directory)
        } catch .noEntry {}
    }
}

extension FileHandle {
    /// What ``VolumeModel/FileHandle/description`` writes.
    init?(_ text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let kind = Int32(parts[0]), parts[1].utf8.count % 2 == 0 else {
            return nil
        }
        var bytes: [UInt8] = []
        var rest = parts[1]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        self.init(kind: kind, bytes: bytes)
    }
}
