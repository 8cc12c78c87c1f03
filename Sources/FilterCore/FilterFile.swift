import VolumeModel
import VolumeProtocol

/// A node's right to lengthen a file directly: its blocks up to `allocatedEndBytes` are written zeros,
/// and nobody else sees the file grow until it is returned.
struct FilterGrowth: Sendable {
    var visibleSizeBytes: UInt64
    var sizeBytes: UInt64
    var allocatedEndBytes: UInt64
    /// A return is under way: no new write beyond the visible size.
    var isClosing = false

    var claim: GrowthClaim {
        GrowthClaim(visibleSizeBytes: visibleSizeBytes, allocatedEndBytes: allocatedEndBytes)
    }
}

/// What a node knows of one open file.
struct FilterFile: Sendable {
    var handle: FileHandle
    var openCount = 1
    var map = SectorMap() {
        didSet { mapVersion &+= 1 }
    }
    /// Goes up with every change of the map.
    private(set) var mapVersion: UInt64 = 0
    /// The file's size, while a layout says it.
    var sizeBytes: UInt64?
    var growth: FilterGrowth?
    /// The last piece of a map that goes on, until the next one is asked for.
    var lastPiece: ByteRange?
    /// The last fill that was granted, and how many were.
    var fill: FilterFill?
    var fillCount = 0
    /// What is being filled: until the answer nothing is known of it, whatever other answers say.
    var pendingFill: ByteRange?
    /// A growth that was given back with this size, until the coordinator has confirmed it.
    var returnedSizeBytes: UInt64?
    /// How often a size that only this node knew has become the coordinator's to tell.
    var ownSizeEnds: UInt64 = 0
    /// Returns of the node's own will so far: growth asked for before one of them is over with it.
    var returnCount: UInt64 = 0
    /// Of these, those that told something and that the coordinator has not confirmed.
    var unconfirmedReturns = 0
    /// The newest recall that came, see rule order-of-grant-and-recall.
    var lastRecall = LayoutGeneration(0)
    /// The newest grant that was taken.
    var lastGrant = LayoutGeneration(0)
    /// As far as it was taken from the lanes.
    var lastWriteNanoseconds: UInt64?
    var pendingRecalls: [PendingRecall] = []
    /// A growth that was given back, until it is known that the coordinator has cut the file to it:
    /// if the coordinator dies first, the next one has to be told again.
    var unsettled: UnsettledGrowth?
    /// This node was fenced while it had the file open, or a new coordinator refused the open.
    var isLost = false

    struct PendingRecall: Sendable {
        var ticket: RecallTicket
        var range: ByteRange
        /// The node's own doing: the size given back is this node's to show until it is confirmed.
        var isVoluntary: Bool
    }

    struct UnsettledGrowth: Sendable {
        var claim: GrowthClaim
        var sizeBytes: UInt64
    }

    /// - Parameter previous: the file that had this place before: versions of a place's maps never
    ///   come again.
    init(handle: FileHandle, after previous: FilterFile? = nil) {
        self.handle = handle
        if let version = previous?.mapVersion { mapVersion = version &+ 1 }
    }

    mutating func grow(to end: UInt64) {
        guard var held = growth, end > held.sizeBytes else { return }
        held.sizeBytes = end
        growth = held
    }

    /// The coordinator knows the file's end, or is about to be asked, unless a return is under way.
    mutating func forgetReturnedSize() {
        guard unconfirmedReturns == 0, returnedSizeBytes != nil else { return }
        returnedSizeBytes = nil
        ownSizeEnds += 1
    }

    /// What the coordinator has to learn; taken, it is reported once. Without a time the age is zero.
    mutating func takeReport(withGrowth: Bool, now: UInt64?) -> WriteReport {
        var report = WriteReport()
        if let written = lastWriteNanoseconds {
            report.ageNanoseconds = now.map { $0 > written ? $0 - written : 0 } ?? 0
            lastWriteNanoseconds = nil
        }
        if withGrowth {
            if let growth {
                unsettled = UnsettledGrowth(claim: growth.claim, sizeBytes: growth.sizeBytes)
                ownSizeEnds += 1
            }
            report.grownSizeBytes = unsettled?.sizeBytes
            growth = nil
        }
        return report
    }
}
