import VolumeModel
import VolumeProtocol

/// The shell's own number for a recall that it has to answer.
public struct RecallTicket: Hashable, Sendable {
    public let number: UInt64

    public init(number: UInt64) { self.number = number }
}

/// A recall that can be answered: nothing new starts in its range, and all that was in flight ended.
public struct EndedRecall: Hashable, Sendable {
    public var ticket: RecallTicket
    public var report: WriteReport
}

/// What a request for growth was made under, see ``FilterCore/apply(_:to:asGrowth:request:)``.
public struct GrowthRequest: Hashable, Sendable {
    let returnCount: UInt64
}

/// What this node alone knew of a file's size, see ``FilterCore/hasOwnSizeEnded(_:since:)``.
public struct OwnSize: Hashable, Sendable {
    let sizeBytes: UInt64?
    let ends: UInt64
}

extension FilterCore {
    /// Taken when growth is asked for. Nil: a return of growth is under way, and might overtake the
    /// request or be overtaken by it; the data go along instead. So where it is not known that an
    /// earlier growth is settled: a recall of the next one would be answered with the end of that.
    public func growthRequest(_ file: FileIndex) -> GrowthRequest? {
        let known = files[Int(file.number)]
        guard isDirect, !known.isLost else { return nil }
        guard known.unconfirmedReturns == 0, known.unsettled == nil,
            known.growth?.isClosing != true
        else { return nil }
        return GrowthRequest(returnCount: known.returnCount)
    }

    /// Takes a grant into the map. False: it is older than a recall or another grant that has come
    /// meanwhile, or makes no sense, and was dropped. (What a growth that came first has filled since,
    /// an older map still shows as it was.) So is growth whose `request` was made before this node gave
    /// its growth back: the return may have ended it before it came.
    public mutating func apply(
        _ grant: LayoutGrant, to file: FileIndex, asGrowth: Bool, request: GrowthRequest? = nil
    ) -> Bool {
        let slot = Int(file.number)
        guard !files[slot].isLost else { return false }
        guard
            !rules.contains(.orderOfGrantAndRecall)
                || grant.generation > max(files[slot].lastRecall, files[slot].lastGrant),
            SectorMap.isValid(range: grant.range, extents: grant.extents)
        else {
            if asGrowth { forgetEnd(slot, from: grant.range.startBytes) }
            return false
        }
        if let request, request.returnCount != files[slot].returnCount {
            forgetEnd(slot, from: grant.range.startBytes)
            return false
        }
        files[slot].lastGrant = max(files[slot].lastGrant, grant.generation)
        if !grant.range.isEmpty {
            files[slot].map.insert(range: grant.range, extents: grant.extents)
            if let pending = files[slot].pendingFill { files[slot].map.remove(pending) }
        }
        if asGrowth {
            applyGrowth(grant, slot)
        } else if case .at(let size) = grant.end {
            files[slot].sizeBytes = size
        }
        files[slot].lastPiece = grant.end == .unknown ? grant.range : nil
        return true
    }

    /// A growth that was granted and is not taken: for the coordinator it has taken the place of what
    /// was known of the file's end before, and nobody recalls that any more.
    private mutating func forgetEnd(_ slot: Int, from startBytes: UInt64) {
        files[slot].sizeBytes = nil
        files[slot].map.remove(ByteRange(start: startBytes, end: .max))
    }

    private mutating func applyGrowth(_ grant: LayoutGrant, _ slot: Int) {
        guard case .at(let visible) = grant.end else { return }
        let reached = files[slot].growth?.sizeBytes ?? visible
        files[slot].sizeBytes = nil
        files[slot].unsettled = nil
        files[slot].forgetReturnedSize()
        files[slot].growth = FilterGrowth(
            visibleSizeBytes: visible, sizeBytes: max(reached, visible),
            allocatedEndBytes: grant.range.endBytes)
    }

    /// Gives up what the coordinator recalls. Nil: direct I/O is still in flight there, and the recall
    /// is among those that ``ended(_:succeeded:nowNanoseconds:)`` returns later.
    public mutating func recall(
        _ handle: FileHandle, _ range: ByteRange, _ generation: LayoutGeneration,
        ticket: RecallTicket, nowNanoseconds: UInt64
    ) -> EndedRecall? {
        guard let file = indexes[handle] else {
            return EndedRecall(ticket: ticket, report: WriteReport())
        }
        let slot = Int(file.number)
        if generation < files[slot].lastGrant {
            // No grant of a file is made while a recall of it is open: this is a late copy of one
            // that was answered, and nobody waits for what it would give up.
            return EndedRecall(ticket: ticket, report: WriteReport())
        }
        files[slot].lastRecall = max(files[slot].lastRecall, generation)
        return giveUp(
            file, range, isVoluntary: false, ticket: ticket, nowNanoseconds: nowNanoseconds)
    }

    /// Gives a file's growth back of the node's own will (fsync, close). Nil: direct I/O is in flight.
    /// The report goes to the coordinator; until ``growthReturned(_:)`` the size stays known.
    public mutating func returnGrowth(
        _ file: FileIndex, ticket: RecallTicket, nowNanoseconds: UInt64
    ) -> EndedRecall? {
        let slot = Int(file.number)
        files[slot].returnCount += 1
        guard let growth = files[slot].growth else {
            // An earlier return that is not confirmed yet is told once more: whoever waits for this
            // one waits for that.
            let report = takeReport(
                of: slot, withGrowth: true, now: nowNanoseconds)
            if !report.isEmpty { files[slot].unconfirmedReturns += 1 }
            return EndedRecall(ticket: ticket, report: report)
        }
        let start = growth.visibleSizeBytes & ~(Limits.blockSizeBytes - 1)
        return giveUp(
            file, ByteRange(start: start, end: .max), isVoluntary: true, ticket: ticket,
            nowNanoseconds: nowNanoseconds)
    }

    /// The coordinator has taken note of what ``returnGrowth(_:ticket:nowNanoseconds:)`` told; called
    /// once for each report that was not empty.
    public mutating func growthReturned(_ file: FileIndex) {
        let slot = Int(file.number)
        files[slot].unconfirmedReturns = max(0, files[slot].unconfirmedReturns - 1)
        files[slot].forgetReturnedSize()
        if files[slot].unconfirmedReturns == 0 { files[slot].unsettled = nil }
    }

    private mutating func giveUp(
        _ file: FileIndex, _ range: ByteRange, isVoluntary: Bool, ticket: RecallTicket,
        nowNanoseconds: UInt64
    ) -> EndedRecall? {
        let slot = Int(file.number)
        var range = range
        if let growth = files[slot].growth, range.endBytes > growth.visibleSizeBytes {
            // A part of the growth is all of it: the coordinator will cut the file to what was reached.
            let start = growth.visibleSizeBytes & ~(Limits.blockSizeBytes - 1)
            range = ByteRange(start: min(range.startBytes, start), end: .max)
        }
        files[slot].map.remove(range)
        if files[slot].fill?.range.overlaps(range) == true { files[slot].fill = nil }
        if let size = files[slot].sizeBytes,
            range.endBytes > size & ~(Limits.blockSizeBytes - 1)
        {
            files[slot].sizeBytes = nil
            // Without the size nothing tells where in this block the file ends.
            files[slot].map.remove(
                ByteRange(start: size & ~(Limits.blockSizeBytes - 1), end: .max))
        }
        if let growth = files[slot].growth, range.endBytes > growth.visibleSizeBytes {
            files[slot].growth?.isClosing = true
        }
        files[slot].pendingRecalls.append(
            .init(ticket: ticket, range: range, isVoluntary: isVoluntary))
        return finishRecalls(of: file, nowNanoseconds: nowNanoseconds)
            .first { $0.ticket == ticket }
    }

    /// Takes the recalls of a file out that no direct I/O stands in the way of.
    mutating func finishRecalls(of file: FileIndex, nowNanoseconds: UInt64) -> [EndedRecall] {
        let slot = Int(file.number)
        var ended: [EndedRecall] = []
        var waiting: [FilterFile.PendingRecall] = []
        for recall in files[slot].pendingRecalls {
            if hasFlight(file, over: recall.range) {
                waiting.append(recall)
                continue
            }
            let reachesGrowth =
                files[slot].growth.map { recall.range.endBytes > $0.visibleSizeBytes } ?? true
            let size = files[slot].growth?.sizeBytes
            let report = takeReport(
                of: slot, withGrowth: reachesGrowth, now: nowNanoseconds)
            if recall.isVoluntary {
                if let size { files[slot].returnedSizeBytes = size }
                if !report.isEmpty { files[slot].unconfirmedReturns += 1 }
            } else if reachesGrowth {
                files[slot].forgetReturnedSize()
            }
            ended.append(EndedRecall(ticket: recall.ticket, report: report))
        }
        files[slot].pendingRecalls = waiting
        return ended
    }

    /// What was written directly and not yet told.
    public mutating func collectWrites(
        _ handle: FileHandle, nowNanoseconds: UInt64
    ) -> WriteReport {
        guard let file = indexes[handle] else { return WriteReport() }
        let slot = Int(file.number)
        return takeReport(
            of: slot, withGrowth: false, now: nowNanoseconds)
    }

    /// The size that this node's own processes see, where it knows better than the coordinator.
    public func ownSizeBytes(_ handle: FileHandle) -> UInt64? {
        guard let file = indexes[handle] else { return nil }
        let known = files[Int(file.number)]
        return known.growth?.sizeBytes ?? known.returnedSizeBytes
    }

    /// Taken before the coordinator is asked for a size.
    public func ownSize(_ handle: FileHandle) -> OwnSize {
        OwnSize(
            sizeBytes: ownSizeBytes(handle),
            ends: indexes[handle].map { files[Int($0.number)].ownSizeEnds } ?? 0)
    }

    /// Whether a size that only this node knew has become the coordinator's to tell since: an answer to
    /// a question of before may be older than that.
    public func hasOwnSizeEnded(_ handle: FileHandle, since before: OwnSize) -> Bool {
        let now = ownSize(handle)
        return now.sizeBytes == nil && (before.sizeBytes != nil || before.ends != now.ends)
    }

    public func hasUnreportedWrites(_ handle: FileHandle) -> Bool {
        guard let file = indexes[handle] else { return false }
        return hasUnreportedWrites(Int(file.number))
    }

    /// The files whose growth this node holds.
    public var grownFiles: [FileIndex] {
        files.indices.filter { files[$0].growth != nil }.map { FileIndex(number: Int32($0)) }
    }

    /// Whether the file is longer than its coordinator may know: nothing of that is durable before it
    /// has been told.
    public func mustReport(_ file: FileIndex) -> Bool {
        let known = files[Int(file.number)]
        return known.growth != nil || known.unsettled != nil || known.unconfirmedReturns > 0
    }

    public func holdsGrowth(_ file: FileIndex) -> Bool { files[Int(file.number)].growth != nil }
}
