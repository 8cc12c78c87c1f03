import CoordinatorCore
import HostFileSystem
import VolumeModel

/// Which files are longer on the LUN than anybody is shown, and how long they are shown: a node has
/// their growth. A note is a symbolic link named by the file's handle, whose target is the visible
/// size in decimal, a space and the node's name: one name and its contents in one change. It is there
/// before the file is lengthened, and goes after it was cut.
struct GrowthNotes: Sendable {
    let volume: HostVolume
    let directory: FileHandle

    private func name(_ file: FileHandle) -> [UInt8] { Array(file.description.utf8) }

    /// Makes a note; false where there is one, of a growth that goes on.
    func begin(
        _ file: FileHandle, visibleSizeBytes: UInt64, holder: String
    ) throws(ErrorCode) -> Bool {
        do throws(ErrorCode) {
            try write(name(file), visibleSizeBytes, holder)
            return true
        } catch .exists {
            return false
        }
    }

    /// The growth has come to an end at this size: a crash before the cut must not undo it. It is
    /// nobody's any more: who gave it back and has not heard so cannot have it again.
    func reach(_ file: FileHandle, sizeBytes: UInt64) throws(ErrorCode) {
        let fresh = name(file) + Array(".new".utf8)
        try volume.unlinkIfThere(fresh, in: directory)
        try write(fresh, sizeBytes, "")
        try volume.rename(fresh, in: directory, to: name(file), in: directory)
    }

    func end(_ file: FileHandle) throws(ErrorCode) {
        try volume.unlinkIfThere(name(file), in: directory)
    }

    private func write(
        _ name: [UInt8], _ sizeBytes: UInt64, _ holder: String
    ) throws(ErrorCode) {
        _ = try volume.makeSymbolicLink(
            name, in: directory, target: Array("\(sizeBytes) \(holder)".utf8),
            creator: PrivateDirectory.creator)
    }

    /// Every note, for the next coordinator.
    func all() throws(ErrorCode) -> [GrownFile] {
        var notes: [GrownFile] = []
        for name in try volume.names(in: directory) {
            let text = String(decoding: name, as: UTF8.self)
            if text.hasSuffix(".new") {
                try volume.unlink(name, in: directory)
                continue
            }
            let link = try volume.lookup(name, in: directory).handle
            let target = String(decoding: try volume.readLink(link), as: UTF8.self)
            let parts = target.split(
                separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard let file = FileHandle(text), parts.count == 2, let size = UInt64(parts[0]) else {
                throw .inputOutput
            }
            notes.append(
                GrownFile(file: file, visibleSizeBytes: size, holder: String(parts[1])))
        }
        return notes
    }
}
