import VolumeModel
import VolumeProtocol

/// A file that an earlier process of this node had open, by the number that the kernel knows it by.
public struct ResumedFile: Sendable {
    public var index: FileIndex
    public var handle: FileHandle
    public var openCount: Int
    /// A growth of which the coordinator has not been told how far it came.
    public var growth: (claim: GrowthClaim, sizeBytes: UInt64)?
    /// Its opens are good for nothing but to be closed.
    public var isLost: Bool

    public init(
        index: FileIndex, handle: FileHandle, openCount: Int,
        growth: (claim: GrowthClaim, sizeBytes: UInt64)? = nil, isLost: Bool = false
    ) {
        self.isLost = isLost
        self.index = index
        self.handle = handle
        self.openCount = openCount
        self.growth = growth
    }
}

extension FilterCore {
    /// Goes on with what an earlier process of this node had open: all of it, before anything else is
    /// asked for. Of the maps nothing is left; a growth counts as given back, and not confirmed.
    public mutating func resume(_ resumed: [ResumedFile]) {
        precondition(files.isEmpty, "resumed before anything was opened")
        guard let last = resumed.map(\.index.number).max() else { return }
        let known = Dictionary(resumed.map { ($0.index.number, $0) }) { first, _ in first }
        for number in 0...last {
            guard let file = known[number] else {
                files.append(FilterFile(handle: resumed[0].handle))
                files[Int(number)].openCount = 0
                freeFiles.append(number)
                continue
            }
            var entry = FilterFile(handle: file.handle)
            entry.openCount = file.openCount
            if let growth = file.growth {
                entry.unsettled = FilterFile.UnsettledGrowth(
                    claim: growth.claim, sizeBytes: growth.sizeBytes)
                entry.returnedSizeBytes = growth.sizeBytes
            }
            entry.isLost = file.isLost
            files.append(entry)
            // A lost file may be open anew besides, under a number of its own.
            if !file.isLost { indexes[file.handle] = file.index }
        }
    }

    /// What a later process must know of a file's growth; nil: nothing.
    public func growthToNote(
        _ file: FileIndex
    ) -> (claim: GrowthClaim, sizeBytes: UInt64)? {
        let known = files[Int(file.number)]
        if let growth = known.growth { return (growth.claim, growth.sizeBytes) }
        return known.unsettled.map { ($0.claim, $0.sizeBytes) }
    }
}
