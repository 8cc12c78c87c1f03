import BlockDevice
import CLinux
import VolumeModel

/// How a volume says which cluster it belongs to, without a change of its file system: the
/// coordinator writes a file into a private directory at its root.
public enum OwnershipMark {
    /// The volume's private directory.
    public static let directoryName = ".covolume"
    public static let fileName = "volume.json"
    /// More than this is no mark.
    public static let maximumBytes = 64 << 10

    /// Reads the mark of a volume that is not mounted here, from an image file or block device.
    ///
    /// Through a read-only loop device, mounted in no namespace, read-only and without replaying the
    /// journal: nothing is written, whoever has the LUN mounted elsewhere. So the answer is of the
    /// last checkpoint: a mark of the last few seconds may be missed.
    ///
    /// - Returns: the file's bytes; nil where there is no such file.
    /// - Throws: where the file system cannot be mounted so, or the mark is too long to be one.
    public static func peek(
        _ path: String, kind: FileSystemKind
    ) throws(HostFileSystemError) -> [UInt8]? {
        let loop: LoopDevice
        do throws(BlockDeviceError) {
            let found = try DeviceInspector.inspect(path).fileSystem
            loop = try LoopDevice(
                attaching: path, isReadOnly: true,
                logicalBlockSizeBytes: found?.loopBlockSizeBytes
                    ?? UInt32(Limits.blockSizeBytes))
        } catch {
            throw HostFileSystemError(error.message, code: error.code)
        }
        let mark: [UInt8]?
        do throws(HostFileSystemError) {
            mark = try peek(device: loop.path, kind: kind)
        } catch {
            // The loop device goes by itself in any case; the mount's error says more.
            try? loop.detach()
            throw error
        }
        do throws(BlockDeviceError) {
            try loop.detach()
        } catch {
            throw HostFileSystemError(error.message, code: error.code)
        }
        return mark
    }

    private static func peek(
        device: String, kind: FileSystemKind
    ) throws(HostFileSystemError) -> [UInt8]? {
        // nouuid: the volume may be mounted on this node through another path.
        let settings: [(key: String, value: String?)] =
            kind == .xfs ? [("norecovery", nil), ("nouuid", nil)] : [("norecovery", nil)]
        let descriptors = try HostVolume.mountDetached(
            device: device, kind: kind, settings: settings, isReadOnly: true)
        do throws(ErrorCode) {
            let directory = try descriptors.root.use { root throws(ErrorCode) in
                try call(
                    covol_openat(
                        root, directoryName, covol_o_rdonly | covol_o_directory, 0))
            }
            let file = try Descriptor(owning: directory).use { directory throws(ErrorCode) in
                try call(covol_openat(directory, fileName, covol_o_rdonly, 0))
            }
            return try Descriptor(owning: file).use { file throws(ErrorCode) in
                let buffer = AlignedBuffer(byteCount: maximumBytes)
                let length = try call(
                    covol_pread(file, buffer.bytes.baseAddress, maximumBytes, 0))
                guard length < maximumBytes else { throw .fileTooLarge }
                return Array(buffer.bytes[..<length])
            }
        } catch {
            if error == .noEntry { return nil }
            throw HostFileSystemError(
                "\(device): \(directoryName)/\(fileName) cannot be read", code: error)
        }
    }
}
