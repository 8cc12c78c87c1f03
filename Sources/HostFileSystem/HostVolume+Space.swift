import CLinux
import VolumeModel

/// What fallocate(2) does with a range; none of them allocates it.
public struct AllocationMode: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// `FALLOC_FL_KEEP_SIZE`
    public static let keepSize = AllocationMode(rawValue: 0x01)
    /// `FALLOC_FL_PUNCH_HOLE`, together with `keepSize`
    public static let punchHole = AllocationMode(rawValue: 0x02)
    /// `FALLOC_FL_COLLAPSE_RANGE`
    public static let collapseRange = AllocationMode(rawValue: 0x08)
    /// `FALLOC_FL_ZERO_RANGE`: leaves the extents unwritten
    public static let zeroRange = AllocationMode(rawValue: 0x10)
    /// `FALLOC_FL_INSERT_RANGE`
    public static let insertRange = AllocationMode(rawValue: 0x20)
    /// `FALLOC_FL_UNSHARE_RANGE`
    public static let unshareRange = AllocationMode(rawValue: 0x40)
}

/// What lseek(2) looks for.
public enum SeekTarget: Sendable {
    case data
    case hole
}

extension HostVolume {
    /// Allocates, punches, zeroes, collapses or inserts a range, fallocate(2). May leave the edges of
    /// the range in the page cache, see ``dropCache(_:_:)``.
    public func allocate(
        _ handle: FileHandle, mode: AllocationMode, _ range: ByteRange
    ) throws(ErrorCode) {
        guard range.endBytes <= UInt64(Int64.max) else { throw .fileTooLarge }
        try with(handle, .buffered) { fd throws(ErrorCode) in
            _ = try call(
                covol_fallocate(
                    fd, Int32(bitPattern: mode.rawValue), range.startBytes, range.lengthBytes))
        }
    }

    /// Sets a regular file's size, ftruncate(2). Both the old and the new last block may be left in
    /// the page cache, where the file system zeroed them, see ``dropCache(_:_:)``.
    public func truncate(_ handle: FileHandle, toSizeBytes size: UInt64) throws(ErrorCode) {
        guard size <= UInt64(Int64.max) else { throw .fileTooLarge }
        try with(handle, .buffered) { fd throws(ErrorCode) in
            _ = try call(covol_ftruncate(fd, size))
        }
    }

    /// Where data or a hole next begins, at or after an offset, lseek(2). ENXIO beyond the end.
    public func seek(
        _ handle: FileHandle, offsetBytes: UInt64, to target: SeekTarget
    ) throws(ErrorCode) -> UInt64 {
        guard let offset = Int64(exactly: offsetBytes) else { throw ErrorCode(6) }
        // The position that this moves is nobody's: all reads and writes carry their own.
        return try with(handle, .buffered) { fd throws(ErrorCode) in
            let whence = target == .data ? covol_seek_data : covol_seek_hole
            return UInt64(try call(Int(covol_lseek(fd, offset, whence))))
        }
    }

    /// Copies bytes from one file to another, or within one, through memory: copy_file_range(2)
    /// might share the blocks instead (rule sole-mutator).
    ///
    /// - Returns: the number of bytes, less than asked for at the source's end or on a full volume.
    /// - Throws: EINVAL where the ranges overlap in one file.
    public func copyRange(
        from source: FileHandle, offsetBytes sourceOffset: UInt64, to target: FileHandle,
        offsetBytes targetOffset: UInt64, lengthBytes: UInt64
    ) throws(ErrorCode) -> UInt64 {
        let sourceRange = ByteRange(offset: sourceOffset, length: lengthBytes)
        let targetRange = ByteRange(offset: targetOffset, length: lengthBytes)
        guard source != target || !sourceRange.overlaps(targetRange) else { throw .invalid }
        let chunkBytes = UInt64(Limits.payloadMaximumBytes)
        let chunk = AlignedBuffer(byteCount: Int(min(chunkBytes, max(lengthBytes, 1))))
        var done: UInt64 = 0
        do throws(ErrorCode) {
            while done < lengthBytes {
                let wanted = Int(min(chunkBytes, lengthBytes - done))
                let memory = UnsafeMutableRawBufferPointer(rebasing: chunk.bytes[..<wanted])
                let got = try read(source, offsetBytes: sourceOffset + done, into: memory)
                guard got > 0 else { break }
                let written = try write(
                    target, offsetBytes: targetOffset + done,
                    UnsafeRawBufferPointer(rebasing: memory[..<got]))
                done += UInt64(written)
                if written < wanted { break }
            }
        } catch {
            if done == 0 { throw error }
        }
        return done
    }

    /// Writes a file's data, and unless `isDataOnly` all its metadata, to the LUN, fsync(2) and
    /// fdatasync(2). Regular files and directories.
    public func syncFile(_ handle: FileHandle, isDataOnly: Bool = false) throws(ErrorCode) {
        try with(handle, .buffered) { fd throws(ErrorCode) in
            _ = try call(isDataOnly ? covol_fdatasync(fd) : covol_fsync(fd))
        }
    }
}
