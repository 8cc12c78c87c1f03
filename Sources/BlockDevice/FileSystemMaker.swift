import CLinux
import VolumeModel

/// Makes file systems as volumes need them, by mkfs.xfs(8) and mkfs.ext4(8).
public enum FileSystemMaker {
    /// Formats a block device or image file. Blocks until it is done; a large ext4 takes minutes.
    ///
    /// - Parameters:
    ///   - label: at most 12 bytes on XFS, 16 on ext4; may be empty.
    ///   - overwrites: whether what is on the device may be lost. Without it the tools themselves
    ///     look once more, and refuse.
    /// - Throws: the tool's own words where it fails or is not installed.
    public static func format(
        _ path: String, kind: FileSystemKind, label: String = "", overwrites: Bool = false
    ) throws(BlockDeviceError) {
        let limit = kind == .xfs ? 12 : 16
        guard label.utf8.count <= limit else {
            throw BlockDeviceError(
                "the label \"\(label)\" is longer than the \(limit) bytes of \(kind.rawValue)")
        }
        if overwrites { try wipe(path) }
        let (program, arguments) = command(
            path, kind: kind, label: label, overwrites: overwrites)
        let result = try Program.run(program, arguments)
        guard result.exitStatus == 0 else {
            throw BlockDeviceError(
                "\(program) failed on \(path) with status \(result.exitStatus): "
                    + result.output.split(separator: "\n").joined(separator: "; "))
        }
    }

    static func command(
        _ path: String, kind: FileSystemKind, label: String, overwrites: Bool
    ) -> (program: String, arguments: [String]) {
        let blockSize = String(Limits.blockSizeBytes)
        let labelArguments = label.isEmpty ? [] : ["-L", label]
        switch kind {
        case .xfs:
            // Sectors of a block: then the log and the superblocks too are written in whole blocks.
            // -K: no discard of the LUN's blocks.
            let options = [
                "-q", "-K", "-b", "size=\(blockSize)", "-s", "size=\(blockSize)",
                "-l", "internal=1", "-m", "crc=1,finobt=1,reflink=1", "-n", "ftype=1",
            ]
            return (
                "mkfs.xfs", options + (overwrites ? ["-f"] : []) + labelArguments + [path]
            )
        case .ext4:
            // Everything is initialised now, so that no kernel thread writes later; no reserve for
            // root, because all allocation is the privileged coordinator's.
            let options = [
                "-q", "-b", blockSize, "-m", "0",
                "-O", "has_journal,extent,^inline_data,^bigalloc,^encrypt,^verity,^mmp",
                "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
            ]
            return (
                "mkfs.ext4", options + (overwrites ? ["-F"] : []) + labelArguments + [path]
            )
        }
    }

    /// Zeroes the first and the last MiB, where signatures are: a tool wipes only some of them, and
    /// what is left would make the device ambiguous.
    private static func wipe(_ path: String) throws(BlockDeviceError) {
        do throws(ErrorCode) {
            let file = try OpenFile(path, flags: covol_o_rdwr | covol_block_exclusive)
            let size = try Geometry(file).sizeBytes
            let bytes = [UInt8](repeating: 0, count: DeviceInspector.edgeBytes)
            let length = min(bytes.count, Int(size))
            for offset in [0, size - UInt64(length)] {
                var done = 0
                while done < length {
                    let written = bytes.withUnsafeBytes { bytes in
                        covol_pwrite(
                            file.number, bytes.baseAddress! + done, length - done,
                            offset + UInt64(done))
                    }
                    guard written > 0 else {
                        throw ErrorCode(written == 0 ? 5 : Int32(truncatingIfNeeded: -written))
                    }
                    done += written
                }
            }
            try checked(covol_fsync(file.number))
        } catch {
            throw BlockDeviceError(
                "\(path): its old contents could not be wiped"
                    + (error == .busy ? "; it is mounted or held by another program" : ""),
                code: error)
        }
    }
}
