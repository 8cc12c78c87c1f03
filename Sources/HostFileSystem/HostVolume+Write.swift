import CLinux
import VolumeModel

extension HostVolume {
    /// Writes a regular file: whole blocks by direct I/O, odd edges through the page cache, which is
    /// emptied of the edge's block before (it may be older than what a node wrote directly) and after.
    ///
    /// A write beyond the end extends the file, and may leave the block of the old end in the page
    /// cache, where the file system zeroed it: see ``dropCache(_:_:)``. Set-id bits stay, see
    /// ``setAttributes(_:_:)``. Durable after ``sync()`` or ``syncFile(_:isDataOnly:)``.
    ///
    /// - Returns: the number of bytes written from the start; less than asked for where the volume
    ///   is full or an error came after a part was written.
    public func write(
        _ handle: FileHandle, offsetBytes: UInt64, _ data: UnsafeRawBufferPointer
    ) throws(ErrorCode) -> Int {
        guard !data.isEmpty else { return 0 }
        let range = try Self.dataRange(offsetBytes, data.count)
        var done = 0
        do throws(ErrorCode) {
            for part in Self.parts(of: range) {
                let skip = Int(part.range.startBytes - range.startBytes)
                let bytes = UnsafeRawBufferPointer(
                    rebasing: data[skip..<(skip + Int(part.range.lengthBytes))])
                let written: Int
                if part.isWholeBlocks {
                    written = try with(handle, .direct) { fd throws(ErrorCode) in
                        try Self.writeBlocks(fd, part.range.startBytes, bytes)
                    }
                } else {
                    written = try with(handle, .buffered) { fd throws(ErrorCode) in
                        try Self.writeEdge(fd, part.range, bytes)
                    }
                }
                done += written
                if written < bytes.count { break }
            }
        } catch {
            if done == 0 { throw error == .badDescriptor ? .notPermitted : error }
        }
        return done
    }

    /// Writes zeros over a range within the file's size, so that its extents become written (rule
    /// written-before-grant). What lies beyond the size is left alone.
    public func zeroFill(_ handle: FileHandle, _ range: ByteRange) throws(ErrorCode) {
        let size = try attributes(handle).sizeBytes
        var position = range.startBytes
        let end = min(range.endBytes, size)
        while position < end {
            // Chunks end on block boundaries, so that only the range's own ends can be odd.
            let chunkEnd = (position + UInt64(zeros.count)) & ~(Limits.blockSizeBytes - 1)
            let length = Int(min(end, chunkEnd) - position)
            let written = try write(
                handle, offsetBytes: position, UnsafeRawBufferPointer(rebasing: zeros[..<length]))
            guard written > 0 else { throw .noSpace }
            position += UInt64(written)
        }
    }

    /// Allocates whole blocks within the file's size that are holes or unwritten, and writes zeros over
    /// them past the page cache, in as few changes of the map as may be.
    ///
    /// - Throws: ENOSPC, with a part written.
    public func fillHole(_ handle: FileHandle, _ range: ByteRange) throws(ErrorCode) {
        precondition(range == range.wholeBlocks(Limits.blockSizeBytes), "only whole blocks")
        do throws(ErrorCode) {
            try allocate(handle, mode: .keepSize, range)
        } catch .notSupported {
            // A file that has no unwritten extents (ext4, an old one): writing allocates.
        }
        try with(handle, .direct) { fd throws(ErrorCode) in
            var position = range.startBytes
            while position < range.endBytes {
                let length = min(range.endBytes - position, Self.zerosPerCallBytes)
                let written = try call(
                    covol_pwrite_repeated(
                        fd, zeros.baseAddress, zeros.count, Int(length), position))
                guard written > 0 else { throw .noSpace }
                position += UInt64(written)
            }
        }
    }

    private static let zerosPerCallBytes: UInt64 = 16 << 20

    /// An odd head, whole blocks, an odd tail, as far as there are any.
    static func parts(of range: ByteRange) -> [(range: ByteRange, isWholeBlocks: Bool)] {
        let outer = range.wholeBlocks(Limits.blockSizeBytes)
        let start =
            outer.startBytes == range.startBytes
            ? outer.startBytes : outer.startBytes + Limits.blockSizeBytes
        let end =
            outer.endBytes == range.endBytes
            ? outer.endBytes : outer.endBytes - Limits.blockSizeBytes
        guard start < end else { return [(range, false)] }
        let parts = [
            (ByteRange(start: range.startBytes, end: start), false),
            (ByteRange(start: start, end: end), true),
            (ByteRange(start: end, end: range.endBytes), false),
        ]
        return parts.filter { !$0.0.isEmpty }
    }

    private static func writeBlocks(
        _ fd: Int32, _ offsetBytes: UInt64, _ data: UnsafeRawBufferPointer
    ) throws(ErrorCode) -> Int {
        if AlignedBuffer.isAligned(data.baseAddress!) { return try writeAll(fd, offsetBytes, data) }
        let chunk = AlignedBuffer(byteCount: min(data.count, Limits.payloadMaximumBytes))
        var done = 0
        while done < data.count {
            let length = min(chunk.bytes.count, data.count - done)
            chunk.bytes.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: data[done..<(done + length)]))
            let memory = UnsafeRawBufferPointer(rebasing: chunk.bytes[..<length])
            let written: Int
            do throws(ErrorCode) {
                written = try writeAll(fd, offsetBytes + UInt64(done), memory)
            } catch {
                if done > 0 { return done }
                throw error
            }
            done += written
            if written < length { break }
        }
        return done
    }

    private static func writeEdge(
        _ fd: Int32, _ range: ByteRange, _ data: UnsafeRawBufferPointer
    ) throws(ErrorCode) -> Int {
        let blocks = range.wholeBlocks(Limits.blockSizeBytes)
        try call(covol_advise_random(fd))
        try dropPages(fd, blocks)
        let written = try writeAll(fd, range.startBytes, data)
        try dropPages(fd, blocks)
        return written
    }

    /// Goes on after short writes. An error after a part was written is the next call's.
    private static func writeAll(
        _ fd: Int32, _ offsetBytes: UInt64, _ data: UnsafeRawBufferPointer
    ) throws(ErrorCode) -> Int {
        var done = 0
        while done < data.count {
            do throws(ErrorCode) {
                let written = try call(
                    covol_pwrite(
                        fd, data.baseAddress! + done, data.count - done,
                        offsetBytes + UInt64(done)))
                if written == 0 { break }
                done += written
            } catch {
                if done > 0 { break }
                throw error
            }
        }
        return done
    }
}
