import CLinux
import VolumeModel

/// Looks at a device before it becomes a volume, without changing it.
public enum DeviceInspector {
    /// How much of both ends must be zeros on a blank device.
    static let edgeBytes = 1 << 20

    /// Looks at a block device or image file. Blocks; needs root, and for a block device a free loop
    /// device.
    ///
    /// - Throws: where it cannot be opened or read, or is neither of the two.
    public static func inspect(_ path: String) throws(BlockDeviceError) -> DeviceContents {
        let geometry: Geometry
        do throws(ErrorCode) {
            geometry = try Geometry(try OpenFile(path, flags: covol_o_rdonly))
        } catch {
            let notBlockDevice = ErrorCode(15)
            throw BlockDeviceError(
                error == notBlockDevice
                    ? "\(path) is neither a block device nor an image file"
                    : "\(path) cannot be opened", code: error)
        }
        // Before the loop device below, which would be found as a user.
        let holders = DeviceHolders.find(path, geometry)
        return DeviceContents(
            path: path, isBlockDevice: geometry.isBlockDevice, sizeBytes: geometry.sizeBytes,
            logicalBlockSizeBytes: geometry.logicalBlockSizeBytes,
            content: try readContent(path, geometry), holders: holders)
    }

    private static func readContent(
        _ path: String, _ geometry: Geometry
    ) throws(BlockDeviceError) -> DeviceContents.Content {
        guard geometry.isBlockDevice else { return try readContent(at: path, path, geometry) }
        // The device's page cache can be older than the LUN, which another node may have written. A
        // fresh read-only loop device has a page cache of its own (rule fresh-mount).
        let loop = try LoopDevice(
            attaching: path, isReadOnly: true,
            logicalBlockSizeBytes: geometry.logicalBlockSizeBytes)
        let content = try readContent(at: loop.path, path, geometry)
        try loop.detach()
        return content
    }

    private static func readContent(
        at place: String, _ path: String, _ geometry: Geometry
    ) throws(BlockDeviceError) -> DeviceContents.Content {
        do throws(ErrorCode) {
            let file = try OpenFile(place, flags: covol_o_rdonly)
            guard let signatures = SignatureProbe.signatures(file) else { throw .inputOutput }
            guard !signatures.isEmpty else {
                return try isBlank(file, geometry) ? .blank : .unrecognised
            }
            if signatures.count == 1, let found = try describe(signatures[0], file, geometry) {
                return .fileSystem(found)
            }
            return .other(signatures.map(\.text))
        } catch {
            throw BlockDeviceError("\(path) cannot be read", code: error)
        }
    }

    private static func describe(
        _ signature: Signature, _ file: borrowing OpenFile, _ geometry: Geometry
    ) throws(ErrorCode) -> FileSystemDescription? {
        switch signature.type {
        case "xfs":
            return XFSSuperblock.describe(
                try read(file, 0, XFSSuperblock.byteCount), deviceSizeBytes: geometry.sizeBytes,
                logicalBlockSizeBytes: geometry.logicalBlockSizeBytes)
        case "ext4":
            return Ext4Superblock.describe(
                try read(file, UInt64(Ext4Superblock.offsetBytes), Ext4Superblock.byteCount),
                deviceSizeBytes: geometry.sizeBytes,
                logicalBlockSizeBytes: geometry.logicalBlockSizeBytes)
        default:
            return nil
        }
    }

    private static func isBlank(
        _ file: borrowing OpenFile, _ geometry: Geometry
    ) throws(ErrorCode) -> Bool {
        let length = Int(min(UInt64(edgeBytes), geometry.sizeBytes))
        guard try read(file, 0, length).allSatisfy({ $0 == 0 }) else { return false }
        let end = geometry.sizeBytes - UInt64(length)
        return try read(file, end, length).allSatisfy { $0 == 0 }
    }

    private static func read(
        _ file: borrowing OpenFile, _ offset: UInt64, _ count: Int
    ) throws(ErrorCode) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let number = file.number
            let got = bytes.withUnsafeMutableBytes { memory in
                covol_pread(number, memory.baseAddress! + done, count - done, offset + UInt64(done))
            }
            if got < 0 { throw ErrorCode(Int32(truncatingIfNeeded: -got)) }
            // What lies beyond a short device's end counts as zeros.
            if got == 0 { break }
            done += got
        }
        return bytes
    }
}
