import CLinux
import VolumeModel

/// How much of a file's range the page cache holds, in pages.
public struct CachedPages: Hashable, Sendable {
    /// All of them.
    public var cached: UInt64
    /// Those that are yet to be written, or being written.
    public var dirty: UInt64

    /// Nothing of the range is cached: rule clean-before-grant.
    public var isClean: Bool { cached == 0 && dirty == 0 }
}

extension HostVolume {
    /// Writes the range's dirty pages, widened to whole blocks, and drops all its pages. What it
    /// returns is what is left, which must be nothing before a grant (rule clean-before-grant).
    @discardableResult
    public func dropCache(
        _ handle: FileHandle, _ range: ByteRange
    ) throws(ErrorCode) -> CachedPages {
        guard let blocks = Self.pageRange(range) else { return CachedPages(cached: 0, dirty: 0) }
        return try with(handle, .buffered) { fd throws(ErrorCode) in
            try Self.dropPages(fd, blocks)
            let left = try Self.cachedPages(fd, blocks)
            if left.isClean { return left }
            // A large folio goes only as a whole, and it may reach beyond the range.
            try Self.dropPages(fd, ByteRange(start: 0, end: Self.offsetMaximum))
            return try Self.cachedPages(fd, blocks)
        }
    }

    /// What the page cache holds of the range, cachestat(2).
    public func cachedPages(
        _ handle: FileHandle, _ range: ByteRange
    ) throws(ErrorCode) -> CachedPages {
        guard let blocks = Self.pageRange(range) else { return CachedPages(cached: 0, dirty: 0) }
        return try with(handle, .buffered) { fd throws(ErrorCode) in
            try Self.cachedPages(fd, blocks)
        }
    }

    static func dropPages(_ fd: Int32, _ range: ByteRange) throws(ErrorCode) {
        try call(covol_flush_range(fd, range.startBytes, range.lengthBytes))
        try call(covol_advise_dont_need(fd, range.startBytes, range.lengthBytes))
    }

    private static func cachedPages(
        _ fd: Int32, _ range: ByteRange
    ) throws(ErrorCode) -> CachedPages {
        var found = covol_cachestat()
        try call(covol_cachestat(fd, range.startBytes, range.lengthBytes, &found))
        return CachedPages(cached: found.cached, dirty: found.dirty + found.writeback)
    }

    /// The largest file offset, in whole blocks.
    private static let offsetMaximum = UInt64(Int64.max) & ~(Limits.blockSizeBytes - 1)

    /// Nil where nothing of the range can be in a file.
    private static func pageRange(_ range: ByteRange) -> ByteRange? {
        range.wholeBlocks(Limits.blockSizeBytes)
            .intersection(ByteRange(start: 0, end: offsetMaximum))
    }
}
