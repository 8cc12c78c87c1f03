import VolumeModel
import VolumeProtocol

extension VolumeMount {
    /// A part of a file's sector map, asked of the coordinator without going through the mount.
    ///
    /// - Parameter path: the names from the volume's root on.
    /// - Returns: at most `maximumExtents` extents from the one that contains `offsetBytes` on, and
    ///   where to go on; nil at the end of the file.
    public func fileMap(
        _ path: [[UInt8]], offsetBytes: UInt64, maximumExtents: Int
    ) async throws(ErrorCode) -> (extents: [Extent], nextOffsetBytes: UInt64?) {
        try await handler.fileMap(path, offsetBytes, maximumExtents)
    }

    /// The volume's free and used space.
    public func fileSystemStatistics() async throws(ErrorCode) -> FileSystemStatistics {
        switch await handler.link.call(.statistics).result {
        case .statistics(let statistics): return statistics
        case .failed(let error): throw error
        default: throw .protocolError
        }
    }
}

extension MountHandler {
    func fileMap(
        _ path: [[UInt8]], _ offset: UInt64, _ maximumExtents: Int
    ) async throws(ErrorCode) -> ([Extent], UInt64?) {
        guard var handle = nodes.handle(NodeTable.root) else { throw .stale }
        var attributes: FileAttributes?
        for name in path {
            switch await link.call(.lookup(NameInDirectory(parent: handle, name: name))).result {
            case .entry(let found):
                handle = found.handle
                attributes = found.attributes
            case .failed(let error): throw error
            default: throw .protocolError
            }
        }
        guard let attributes, attributes.kind == .regular else {
            throw attributes?.kind == .directory || path.isEmpty ? .isDirectory : .invalid
        }
        let open = newOpen()
        if case .failed(let error) = await link.call(.open(handle, open)).result { throw error }
        let pages: Result<([Extent], UInt64?), ErrorCode> = await mapPages(
            handle, offset, maximumExtents)
        _ = await link.call(.release(handle, open, WriteReport()))
        return try pages.get()
    }

    private func mapPages(
        _ handle: FileHandle, _ offset: UInt64, _ maximumExtents: Int
    ) async -> Result<([Extent], UInt64?), ErrorCode> {
        var extents: [Extent] = []
        var position = offset & ~(Limits.blockSizeBytes - 1)
        while extents.count < maximumExtents {
            let range = ByteRange(start: position, end: .max)
            switch await link.call(.layoutGet(handle, range)).result {
            case .layout(let grant):
                extents += grant.extents
                position = grant.range.endBytes
                if case .at = grant.end { return .success(clip(extents, maximumExtents, nil)) }
                if grant.range.isEmpty { return .success(clip(extents, maximumExtents, nil)) }
            case .failed(let error): return .failure(error)
            default: return .failure(.protocolError)
            }
        }
        return .success(clip(extents, maximumExtents, position))
    }

    private func clip(
        _ extents: [Extent], _ maximum: Int, _ next: UInt64?
    ) -> ([Extent], UInt64?) {
        if extents.count <= maximum { return (extents, next) }
        return (Array(extents[..<maximum]), extents[maximum].fileOffsetBytes)
    }
}
