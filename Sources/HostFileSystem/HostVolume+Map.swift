import CLinux
import VolumeModel

extension HostVolume {
    /// A part of a file's sector map, `FS_IOC_FIEMAP` after the file's dirty pages are written.
    ///
    /// - Parameters:
    ///   - range: widened to whole blocks and clipped to the file's size, rounded up to a block.
    ///   - maximumExtents: at most ``Limits/extentsPerGrantMaximum`` are returned.
    /// - Returns: extents without gaps from the range's start to `coveredEnd`, which is the clipped
    ///   range's end unless there were too many; nothing where the range begins beyond the size.
    ///   All opaque for a file whose data the file system journals, encrypts or seals.
    public func map(
        _ handle: FileHandle, _ range: ByteRange, maximumExtents: Int
    ) throws(ErrorCode) -> (extents: [Extent], coveredEnd: UInt64) {
        guard maximumExtents > 0 else { throw .invalid }
        return try with(handle, .buffered) { fd throws(ErrorCode) in
            let status = try Self.status(fd)
            guard FileKind(rawValue: status.mode & FileKind.mask) == .regular else {
                throw .invalid
            }
            let file = ByteRange(start: 0, end: status.size).wholeBlocks(Limits.blockSizeBytes)
            let start = range.startBytes & ~(Limits.blockSizeBytes - 1)
            guard
                let part = range.wholeBlocks(Limits.blockSizeBytes).intersection(file)
            else { return ([], start) }
            return try Self.map(
                fd, part, maximumExtents: min(maximumExtents, Limits.extentsPerGrantMaximum),
                isOpaque: kind == .ext4 ? try Self.isNeverDirect(fd) : false)
        }
    }

    /// Whether any block of the file is shared with another (reflinked). Reads the whole map.
    public func sharesBlocks(_ handle: FileHandle) throws(ErrorCode) -> Bool {
        guard kind == .xfs else { return false }
        var position: UInt64 = 0
        while true {
            let (extents, end) = try map(
                handle, ByteRange(start: position, end: .max),
                maximumExtents: Limits.extentsPerGrantMaximum)
            if extents.isEmpty { return false }
            if extents.contains(where: { $0.state == .shared || $0.state == .opaque }) {
                return true
            }
            position = end
        }
    }

    /// Whether the file is marked for data journalling (ext4, `chattr +j`): such a file is never
    /// direct.
    public func isDataJournalled(_ handle: FileHandle) throws(ErrorCode) -> Bool {
        guard kind == .ext4 else { return false }
        return try with(handle, .buffered) { fd throws(ErrorCode) in
            try Self.inodeFlags(fd) & InodeFlag.journalData != 0
        }
    }

    /// `FS_*_FL` of `linux/fs.h`.
    private enum InodeFlag {
        static let encrypted: UInt32 = 0x800
        static let journalData: UInt32 = 0x4000
        static let verity: UInt32 = 0x10_0000
        static let inlineData: UInt32 = 0x1000_0000
    }

    private static func isNeverDirect(_ fd: Int32) throws(ErrorCode) -> Bool {
        let flags =
            InodeFlag.encrypted | InodeFlag.journalData | InodeFlag.verity | InodeFlag.inlineData
        return try inodeFlags(fd) & flags != 0
    }

    private static func inodeFlags(_ fd: Int32) throws(ErrorCode) -> UInt32 {
        var flags: UInt32 = 0
        try call(covol_get_inode_flags(fd, &flags))
        return flags
    }

    private static func map(
        _ fd: Int32, _ range: ByteRange, maximumExtents: Int, isOpaque: Bool
    ) throws(ErrorCode) -> (extents: [Extent], coveredEnd: UInt64) {
        let byteCount =
            FIEMAPDecoder.headerBytes + maximumExtents * FIEMAPDecoder.extentBytes
        let buffer = AlignedBuffer(byteCount: byteCount)
        let header = buffer.bytes
        header.initializeMemory(as: UInt8.self, repeating: 0)
        let syncFlag: UInt32 = 1  // FIEMAP_FLAG_SYNC
        header.storeBytes(of: range.startBytes, toByteOffset: 0, as: UInt64.self)
        header.storeBytes(of: range.lengthBytes, toByteOffset: 8, as: UInt64.self)
        header.storeBytes(of: syncFlag, toByteOffset: 16, as: UInt32.self)
        header.storeBytes(of: UInt32(maximumExtents), toByteOffset: 24, as: UInt32.self)
        try call(covol_fiemap(fd, header.baseAddress))
        let map = try FIEMAPDecoder.extents(
            fromFIEMAP: UnsafeRawBufferPointer(header), range: range,
            maximumExtents: maximumExtents, isOpaque: isOpaque)
        // A caller that goes on from `coveredEnd` must get somewhere.
        guard map.coveredEnd > range.startBytes else { throw .inputOutput }
        return map
    }
}
