import VolumeModel

/// A run of a file's bytes: a row of `covol file map`.
public struct FileMapExtent: Codable, Sendable, Equatable {
    public var fileOffsetBytes: UInt64
    /// Nil where the bytes are not at one place on the LUN: a hole, or an opaque extent.
    public var lunOffsetBytes: UInt64?
    public var lengthBytes: UInt64
    /// An `ExtentState`'s name. A string, so that an older client shows a newer daemon's words.
    public var state: String

    public init(_ extent: Extent) {
        fileOffsetBytes = extent.fileOffsetBytes
        lengthBytes = extent.lengthBytes
        (state, lunOffsetBytes) =
            switch extent.state {
            case .written: ("written", extent.lunOffsetBytes)
            case .hole: ("hole", nil)
            case .unwritten: ("unwritten", extent.lunOffsetBytes)
            case .shared: ("shared", extent.lunOffsetBytes)
            case .opaque: ("opaque", nil)
            }
    }

    /// Absent values are written as null, so that every object has the same fields.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(fileOffsetBytes, forKey: .fileOffsetBytes)
        try container.encode(lunOffsetBytes, forKey: .lunOffsetBytes)
        try container.encode(lengthBytes, forKey: .lengthBytes)
        try container.encode(state, forKey: .state)
    }
}

/// Asks for one page of a file's sector map.
public struct FileMapRequest: Codable, Sendable, Equatable {
    /// Absolute; the directory it lies in is resolved already, its last name is not.
    public var path: String
    /// Where in the file the page starts: 0, or the last page's `nextOffsetBytes`.
    public var offsetBytes: UInt64
    /// 1 to `ManagementLimits.fileMapPageMaximumExtents`.
    public var maximumExtents: Int

    public init(
        path: String, offsetBytes: UInt64 = 0,
        maximumExtents: Int = ManagementLimits.fileMapPageMaximumExtents
    ) {
        self.path = path
        self.offsetBytes = offsetBytes
        self.maximumExtents = maximumExtents
    }
}

/// One page of a file's sector map.
public struct FileMapPage: Codable, Sendable, Equatable {
    /// In file order, without gaps; the first contains the requested offset.
    public var extents: [FileMapExtent]
    /// Where the next page starts; nil at the end of the file.
    public var nextOffsetBytes: UInt64?

    public init(extents: [FileMapExtent], nextOffsetBytes: UInt64?) {
        self.extents = extents
        self.nextOffsetBytes = nextOffsetBytes
    }
}
