import CLinux
import VolumeModel

extension HostVolume {
    /// Reads a regular file by direct I/O, so that the page cache stays empty (rule
    /// clean-before-grant). A buffer, offset and length in whole blocks are read in place; others
    /// through a buffer of our own.
    ///
    /// - Returns: the number of bytes, less than asked for only at the end of the file.
    public func read(
        _ handle: FileHandle, offsetBytes: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ErrorCode) -> Int {
        guard let address = buffer.baseAddress, !buffer.isEmpty else { return 0 }
        let range = try Self.dataRange(offsetBytes, buffer.count)
        return try with(handle, .direct) { fd throws(ErrorCode) in
            if range.isWholeBlocks(Limits.blockSizeBytes), AlignedBuffer.isAligned(address) {
                return try Self.readBlocks(fd, offsetBytes, into: buffer)
            }
            return try Self.readThroughBuffer(fd, range, into: buffer)
        }
    }

    /// A range that a file can have; EINVAL beyond the largest offset.
    static func dataRange(_ offsetBytes: UInt64, _ count: Int) throws(ErrorCode) -> ByteRange {
        let (end, overflow) = offsetBytes.addingReportingOverflow(UInt64(count))
        guard !overflow, end <= UInt64(Int64.max) - Limits.blockSizeBytes else { throw .invalid }
        return ByteRange(start: offsetBytes, end: end)
    }

    /// Offset, length and memory are in whole blocks.
    static func readBlocks(
        _ fd: Int32, _ offsetBytes: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ErrorCode) -> Int {
        var done = 0
        while done < buffer.count {
            let address = buffer.baseAddress! + done
            let got = try call(
                covol_pread(fd, address, buffer.count - done, offsetBytes + UInt64(done)))
            done += got
            // Less than whole blocks is the end of the file.
            if got == 0 || got % Int(Limits.blockSizeBytes) != 0 { break }
        }
        return done
    }

    private static func readThroughBuffer(
        _ fd: Int32, _ range: ByteRange, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ErrorCode) -> Int {
        let blocks = range.wholeBlocks(Limits.blockSizeBytes)
        let chunkBytes = min(blocks.lengthBytes, UInt64(Limits.payloadMaximumBytes))
        let chunk = AlignedBuffer(byteCount: Int(chunkBytes))
        var position = blocks.startBytes
        var done = 0
        while position < blocks.endBytes {
            let length = min(chunkBytes, blocks.endBytes - position)
            let memory = UnsafeMutableRawBufferPointer(rebasing: chunk.bytes[..<Int(length)])
            let got = try readBlocks(fd, position, into: memory)
            let present = ByteRange(offset: position, length: UInt64(got))
            if let part = present.intersection(range) {
                let skip = Int(part.startBytes - position)
                let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                target.copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: memory[skip..<(skip + Int(part.lengthBytes))]))
                done += Int(part.lengthBytes)
            }
            if UInt64(got) < length { break }
            position += length
        }
        return done
    }
}
