import VolumeModel

/// A file as an operation shows it.
public struct FileEntry: Hashable, Sendable {
    public var handle: FileHandle
    public var attributes: FileAttributes

    public init(handle: FileHandle, attributes: FileAttributes) {
        self.handle = handle
        self.attributes = attributes
    }
}

/// A directory's entry with what its file shows, where that can be told without asking another node.
public struct DirectoryEntryWithFile: Hashable, Sendable {
    public var entry: DirectoryEntry
    public var file: FileEntry?
    /// The node may keep the file's attributes, see ``MetadataGrant/attributes``.
    public var isGranted: Bool

    public init(entry: DirectoryEntry, file: FileEntry?, isGranted: Bool = false) {
        self.entry = entry
        self.file = file
        self.isGranted = isGranted
    }
}

/// What a layout says of the end of the file.
public enum LayoutEnd: Hashable, Sendable {
    /// The layout ends before the end of the file does.
    case unknown
    /// The layout covers everything from its start on: the file is this long.
    case at(sizeBytes: UInt64)
}

/// The coordinator's grant of a part of a file's sector map.
public struct LayoutGrant: Hashable, Sendable {
    public var generation: LayoutGeneration
    /// What `extents` cover without a gap, in whole blocks; with a known end, up to the block in which
    /// the file ends.
    public var range: ByteRange
    public var extents: [Extent]
    public var end: LayoutEnd

    public init(
        generation: LayoutGeneration, range: ByteRange, extents: [Extent], end: LayoutEnd
    ) {
        self.generation = generation
        self.range = range
        self.extents = extents
        self.end = end
    }
}

/// The answer to an ``Operation``.
public enum OperationResult: Hashable, Sendable {
    case done
    case entry(FileEntry)
    case attributes(FileAttributes)
    /// A symbolic link's target, or an extended attribute's value.
    case bytes([UInt8])
    case names([[UInt8]])
    case directory([DirectoryEntryWithFile], atEnd: Bool)
    case statistics(FileSystemStatistics)
    case offset(UInt64)
    /// How many bytes a copy moved.
    case copied(UInt64)
    case layout(LayoutGrant)
    /// The node alone may write the granted blocks beyond the end of the file, and says how far it
    /// came when it gives the growth back. Until then nobody sees the file longer than before.
    case growth(LayoutGrant)
    /// No growth: the node sends the data along.
    case sendData
    /// Nil: nothing stands in the way.
    case lockConflict(LockConflict?)
    /// The bytes are the message's payload.
    case data
    /// Where the bytes were written, and the file's size after it.
    case written(offsetBytes: UInt64, lengthBytes: UInt32, sizeBytes: UInt64)
    case failed(ErrorCode)
}
