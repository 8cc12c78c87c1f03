import CoordinatorCore
import HostFileSystem
import VolumeModel
import VolumeProtocol

/// The mounted volume as ``CoordinatorCore/IntentResolver`` looks at it.
struct HostVolumeView: VolumeView {
    let volume: HostVolume
    let directory: PrivateDirectory

    func file(named name: NameInDirectory) throws(ErrorCode) -> FileHandle? {
        if directory.isOwn(name) { return nil }
        return try found { () throws(ErrorCode) in
            try volume.lookup(name.name, in: name.parent).handle
        }
    }

    func sizeBytes(of file: FileHandle) throws(ErrorCode) -> UInt64? {
        try found { () throws(ErrorCode) in try volume.attributes(file).sizeBytes }
    }

    func hasAttribute(_ name: [UInt8], of file: FileHandle) throws(ErrorCode) -> Bool {
        try found { () throws(ErrorCode) in
            try volume.extendedAttribute(name, of: file)
        } != nil
    }

    func isHidden(_ file: FileHandle) throws(ErrorCode) -> Bool {
        try directory.isHidden(file)
    }

    /// Nil for every error that says that it is not there, or cannot be: the operation itself will
    /// say what is wrong. Only a failing LUN leaves it open.
    private func found<Value>(
        _ body: () throws(ErrorCode) -> Value
    ) throws(ErrorCode) -> Value? {
        do throws(ErrorCode) {
            return try body()
        } catch {
            if error.isOfFailure { throw error }
            return nil
        }
    }
}
