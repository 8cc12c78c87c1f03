/// A node's cached map of one file: the ranges it was granted, with the extents that cover them.
///
/// The extents lie in order in leaves of at most ``extentsPerLeafDefault``, and an array of the
/// leaves' starts finds the leaf. So a look-up is two binary searches, and an insertion copies the
/// leaves it touches and shifts one word per leaf, however many extents there are. Adjacent extents
/// that continue each other on the LUN are kept as one.
///
/// A value type without synchronization: whoever shares one guards it.
public struct SectorMap: Sendable {
    /// The most extents in one leaf.
    static let extentsPerLeafDefault = 512
    /// No file and no LUN reaches further: `loff_t` is signed.
    static let offsetMaximumBytes: UInt64 = 1 << 63

    /// In order of the file's offsets; none is empty.
    var leaves: [[PackedExtent]] = []
    /// The file offset at which each leaf starts.
    var leafStarts: [UInt64] = []
    let extentsPerLeafMaximum: Int

    /// How many extents the map holds.
    public internal(set) var extentCount = 0

    public init() { self.init(extentsPerLeafMaximum: Self.extentsPerLeafDefault) }

    /// Small leaves let a test reach the leaves' edges with few extents.
    init(extentsPerLeafMaximum: Int) {
        precondition(extentsPerLeafMaximum >= 4, "a leaf this small cannot be split or joined")
        self.extentsPerLeafMaximum = extentsPerLeafMaximum
    }

    /// True where no byte of the file is covered.
    public var isEmpty: Bool { leaves.isEmpty }

    /// What the map occupies, in bytes, allocated capacity and array headers included.
    /// Takes time in proportion to the number of leaves.
    public var memoryBytes: Int {
        let arrayHeaderBytes = 32
        var sum = MemoryLayout<SectorMap>.size + 2 * arrayHeaderBytes
        sum += leaves.capacity * MemoryLayout<[PackedExtent]>.stride
        sum += leafStarts.capacity * MemoryLayout<UInt64>.stride
        for leaf in leaves {
            sum += arrayHeaderBytes + leaf.capacity * MemoryLayout<PackedExtent>.stride
        }
        return sum
    }

    /// Whether ``insert(range:extents:)`` may be called with these: `extents` cover `range` in
    /// order, without a gap or an overlap, everything is in whole blocks, and nothing overflows.
    /// An empty range with no extents is valid.
    public static func isValid(range: ByteRange, extents: [Extent]) -> Bool {
        let block = Limits.blockSizeBytes
        guard range.isWholeBlocks(block), range.endBytes <= offsetMaximumBytes else { return false }
        var position = range.startBytes
        for extent in extents {
            guard extent.fileOffsetBytes == position,
                extent.lengthBytes > 0,
                extent.lengthBytes <= range.endBytes - position,
                (extent.lengthBytes | extent.lunOffsetBytes) & (block - 1) == 0
            else { return false }
            if extent.hasAddress {
                guard extent.lunOffsetBytes <= offsetMaximumBytes,
                    extent.lengthBytes <= offsetMaximumBytes - extent.lunOffsetBytes
                else { return false }
            } else if extent.lunOffsetBytes != 0 {
                return false
            }
            position += extent.lengthBytes
        }
        return position == range.endBytes
    }
}
