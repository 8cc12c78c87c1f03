import Synchronization

/// What a node did on a volume since its daemon started.
public struct MountCounts: Codable, Sendable {
    public var directReads: UInt64 = 0
    public var directWrites: UInt64 = 0
    public var directReadBytes: UInt64 = 0
    public var directWriteBytes: UInt64 = 0
    public var redirectedReads: UInt64 = 0
    public var redirectedWrites: UInt64 = 0
    public var redirectedReadBytes: UInt64 = 0
    public var redirectedWriteBytes: UInt64 = 0
    public var metadataOperations: UInt64 = 0
    /// Look-ups and attributes that the coordinator was not asked for.
    public var metadataCached: UInt64 = 0
    /// Grants of attributes and names that were given back because the coordinator asked.
    public var metadataRecalls: UInt64 = 0
    public var recalls: UInt64 = 0
    /// Opens that are held now.
    public var openFiles: Int = 0
    /// Opens that were lost: they answer EIO for good.
    public var lostOpens: Int = 0
    /// How often this node's path to the LUN was lost, and came back.
    public var pathFailures: UInt64 = 0
    public var pathRestores: UInt64 = 0

    /// Adds a lane's direct reads and writes.
    mutating func add(_ lane: MountCounts) {
        directReads += lane.directReads
        directWrites += lane.directWrites
        directReadBytes += lane.directReadBytes
        directWriteBytes += lane.directWriteBytes
    }
}

/// The counters behind ``MountCounts`` but for direct I/O, which each lane counts for itself: each counts by itself, without order among them.
final class MountStatistics: Sendable {
    let redirectedReads = Atomic<UInt64>(0)
    let redirectedWrites = Atomic<UInt64>(0)
    let redirectedReadBytes = Atomic<UInt64>(0)
    let redirectedWriteBytes = Atomic<UInt64>(0)
    let metadataOperations = Atomic<UInt64>(0)
    let metadataCached = Atomic<UInt64>(0)
    let metadataRecalls = Atomic<UInt64>(0)
    let recalls = Atomic<UInt64>(0)

    func count(redirectedRead bytes: Int) {
        redirectedReads.add(1, ordering: .relaxed)
        redirectedReadBytes.add(UInt64(bytes), ordering: .relaxed)
    }

    func count(redirectedWrite bytes: Int) {
        redirectedWrites.add(1, ordering: .relaxed)
        redirectedWriteBytes.add(UInt64(bytes), ordering: .relaxed)
    }

    var counts: MountCounts {
        MountCounts(
            redirectedReads: redirectedReads.load(ordering: .relaxed),
            redirectedWrites: redirectedWrites.load(ordering: .relaxed),
            redirectedReadBytes: redirectedReadBytes.load(ordering: .relaxed),
            redirectedWriteBytes: redirectedWriteBytes.load(ordering: .relaxed),
            metadataOperations: metadataOperations.load(ordering: .relaxed),
            metadataCached: metadataCached.load(ordering: .relaxed),
            metadataRecalls: metadataRecalls.load(ordering: .relaxed),
            recalls: recalls.load(ordering: .relaxed))
    }
}
