import VolumeModel
import VolumeProtocol

/// What one session holds of a file's sector map.
struct SessionLayout {
    /// Granted ranges; one that knows the end of the file reaches to the largest offset.
    var ranges = RangeSet()
}

/// A session's right to write beyond the end of a file directly. On the LUN the file is as long as
/// what was granted; everybody else is shown `visibleSizeBytes`.
struct Growth {
    var session: NodeIdentity
    var visibleSizeBytes: UInt64
    var allocatedEndBytes: UInt64
}

/// Zeros that were written ahead of a session's writes. Nothing else has come near them since: no
/// other layout of them was granted, and no write was performed for a node.
struct Fill {
    /// More pieces than this are not given back.
    static let rangesMaximum = 256

    var session: NodeIdentity
    var zeroed = RangeSet()
    /// Of the last grant.
    var generation: LayoutGeneration
    /// Where the last one ended, whatever came near it since.
    var endBytes: UInt64
}

/// What a coordinator knows of a file that someone has open.
struct FileState {
    var generation = LayoutGeneration(0)
    var opens: [NodeIdentity: Set<OpenID>] = [:]
    var layouts: [NodeIdentity: SessionLayout] = [:]
    var growth: Growth?
    var fill: Fill?
    /// The last name is gone; the file lives in the private directory until its last close.
    var isHidden = false
    /// The size on the LUN, once it is known. Only the coordinator's own operations change it.
    var sizeBytes: UInt64?

    var isOpen: Bool { !opens.isEmpty }

    mutating func nextGeneration() -> LayoutGeneration {
        generation = LayoutGeneration(generation.number + 1)
        return generation
    }

    /// The size that everybody but the growth's holder is shown.
    var visibleSizeBytes: UInt64? { growth?.visibleSizeBytes ?? sizeBytes }

    /// What each session has to return before blocks of `range` may change.
    func holders(of range: ByteRange) -> [(NodeIdentity, ByteRange)] {
        var found: [(NodeIdentity, ByteRange)] = []
        for (session, layout) in layouts where layout.ranges.overlaps(range) {
            found.append((session, range))
        }
        if let growth, range.endBytes > growth.visibleSizeBytes {
            // A part of the growth is all of it: the file will be cut to what was reached.
            let start = growth.visibleSizeBytes & ~(Limits.blockSizeBytes - 1)
            found.removeAll { $0.0 == growth.session }
            found.append(
                (growth.session, ByteRange(start: min(range.startBytes, start), end: .max)))
        }
        // The order must not depend on hashing, or a seed would not replay.
        return found.sorted { $0.0.name < $1.0.name }
    }

    /// Takes note that `session` returned its layouts over `range`.
    mutating func removeLayouts(of session: NodeIdentity, over range: ByteRange) {
        guard var layout = layouts[session] else { return }
        layout.ranges.remove(range)
        layouts[session] = layout.ranges.isEmpty ? nil : layout
    }
}
