import VolumeModel
import VolumeProtocol

/// A part of a direct read or write, in whole blocks.
public struct DirectSegment: Hashable, Sendable {
    /// Nil: nothing lies on the LUN, the bytes are zeros.
    public var lunOffsetBytes: UInt64?
    public var lengthBytes: Int

    public init(lunOffsetBytes: UInt64?, lengthBytes: Int) {
        self.lunOffsetBytes = lunOffsetBytes
        self.lengthBytes = lengthBytes
    }
}

/// How a read is to be done. Direct plans cover whole blocks: what was asked for starts
/// `skipBytes` into them.
public enum ReadPlan: Sendable {
    /// One contiguous piece of the LUN.
    case direct(
        DirectToken, lunOffsetBytes: UInt64, blocksBytes: Int, skipBytes: Int, lengthBytes: Int)
    case segments(DirectToken, [DirectSegment], skipBytes: Int, lengthBytes: Int)
    /// Nothing but zeros.
    case zeros(lengthBytes: Int)
    /// At or beyond the end of the file.
    case end
    case needsLayout(ByteRange)
    case redirect
}

/// How a write is to be done. A plan may cover more than was asked: the rest of the last block,
/// beyond the end of the file, is zeros.
public enum WritePlan: Sendable {
    case direct(DirectToken, lunOffsetBytes: UInt64, blocksBytes: Int)
    case segments(DirectToken, [DirectSegment])
    case needsLayout(ByteRange)
    /// Some of the blocks are holes or unwritten, or being filled: directly only after they were filled.
    case fills(ByteRange)
    /// The write lengthens the file and this node has no growth for it.
    case extends
    case redirect

    /// Of a direct write.
    public var token: DirectToken? {
        switch self {
        case .direct(let token, _, _), .segments(let token, _): token
        default: nil
        }
    }
}

extension FilterCore {
    /// Plans a read of `length` bytes, at most one payload, and counts it in flight in a lane if it is
    /// direct.
    public func planRead(
        _ file: FileIndex, offsetBytes: UInt64, lengthBytes: Int, lane: Int = 0
    ) -> ReadPlan {
        let slot = Int(file.number)
        guard isDirect, !files[slot].isLost else { return .redirect }
        var end = offsetBytes &+ UInt64(lengthBytes)
        if let size = files[slot].growth?.sizeBytes ?? files[slot].sizeBytes {
            if offsetBytes >= size { return .end }
            end = min(end, size)
        }
        let wanted = ByteRange(start: offsetBytes, end: end)
        let blocks = wanted.wholeBlocks(Limits.blockSizeBytes)
        let skip = Int(offsetBytes - blocks.startBytes)
        let length = Int(wanted.lengthBytes)
        guard let first = extent(of: file, at: blocks.startBytes, lane) else {
            return .needsLayout(blocks)
        }
        if first.fileEndBytes >= blocks.endBytes {
            switch first.state {
            case .written, .shared:
                let token = startFlight(file, blocks, writeEndBytes: nil, lane: lane)
                return .direct(
                    token,
                    lunOffsetBytes: first.lunOffsetBytes
                        + (blocks.startBytes - first.fileOffsetBytes),
                    blocksBytes: Int(blocks.lengthBytes), skipBytes: skip, lengthBytes: length)
            case .hole, .unwritten:
                return .zeros(lengthBytes: length)
            case .opaque:
                return .redirect
            }
        }
        return planPieces(file, blocks, skip, length, lane)
    }

    /// The range from which on a reader should ask for the next piece of the map now, once: it has come
    /// past the middle of the last one, and would soon wait for it. Nil: nothing is to be asked for.
    public mutating func mapAhead(_ file: FileIndex, offsetBytes: UInt64) -> ByteRange? {
        guard wantsMapAhead(file, offsetBytes: offsetBytes),
            let piece = files[Int(file.number)].lastPiece
        else { return nil }
        files[Int(file.number)].lastPiece = nil
        let next = ByteRange(offset: piece.endBytes, length: Limits.blockSizeBytes)
        return files[Int(file.number)].map.extent(at: next.startBytes) == nil ? next : nil
    }

    /// Whether ``mapAhead(_:offsetBytes:)`` has something to do.
    public func wantsMapAhead(_ file: FileIndex, offsetBytes: UInt64) -> Bool {
        guard let piece = files[Int(file.number)].lastPiece else { return false }
        return offsetBytes >= piece.startBytes + piece.lengthBytes / 2
            && offsetBytes < piece.endBytes
    }

    private func planPieces(
        _ file: FileIndex, _ blocks: ByteRange, _ skip: Int, _ length: Int, _ lane: Int
    ) -> ReadPlan {
        let slot = Int(file.number)
        let covered = files[slot].map.coveredPrefix(of: blocks)
        if covered < blocks.endBytes {
            return .needsLayout(ByteRange(start: covered, end: blocks.endBytes))
        }
        var isOpaque = false
        let segments = lanes[lane].pieces { pieces in
            files[slot].map.forEachExtent(in: blocks) { extent in
                let length = Int(extent.lengthBytes)
                switch extent.state {
                case .written, .shared:
                    pieces.append(
                        DirectSegment(
                            lunOffsetBytes: extent.lunOffsetBytes, lengthBytes: length))
                case .hole, .unwritten:
                    pieces.append(DirectSegment(lunOffsetBytes: nil, lengthBytes: length))
                case .opaque:
                    isOpaque = true
                }
                return !isOpaque
            }
        }
        if isOpaque { return .redirect }
        if segments.allSatisfy({ $0.lunOffsetBytes == nil }) { return .zeros(lengthBytes: length) }
        let token = startFlight(file, blocks, writeEndBytes: nil, lane: lane)
        return .segments(token, segments, skipBytes: skip, lengthBytes: length)
    }

    /// Plans a write of `length` bytes, at most one payload, and counts it in flight in a lane if it is
    /// direct (rules written-before-grant, whole-blocks).
    public mutating func planWrite(
        _ file: FileIndex, offsetBytes: UInt64, lengthBytes: Int, lane: Int = 0
    ) -> WritePlan {
        let plan = decideWrite(file, offsetBytes, lengthBytes, lane)
        switch plan {
        case .direct, .segments:
            files[Int(file.number)].fill?.wrote(
                ByteRange(offset: offsetBytes, length: UInt64(lengthBytes))
                    .wholeBlocks(Limits.blockSizeBytes))
        default: break
        }
        return plan
    }

    /// The same where it concerns nobody but the lane. Nil: the file is being lengthened or filled here,
    /// nothing was done, and ``planWrite(_:offsetBytes:lengthBytes:lane:)`` is to be asked.
    public func planWriteAlone(
        _ file: FileIndex, offsetBytes: UInt64, lengthBytes: Int, lane: Int
    ) -> WritePlan? {
        let slot = Int(file.number)
        if files[slot].growth != nil { return nil }
        if let fill = files[slot].fill,
            fill.isReached(by: ByteRange(offset: offsetBytes, length: UInt64(lengthBytes)))
        {
            return nil
        }
        return decideWrite(file, offsetBytes, lengthBytes, lane)
    }

    private func decideWrite(
        _ file: FileIndex, _ offsetBytes: UInt64, _ lengthBytes: Int, _ lane: Int
    ) -> WritePlan {
        let slot = Int(file.number)
        guard isDirect, !files[slot].isLost else { return .redirect }
        let end = offsetBytes &+ UInt64(lengthBytes)
        let block = Limits.blockSizeBytes
        if offsetBytes & (block - 1) != 0 {
            return .redirect
        }
        if let decided = planEnd(file, offsetBytes, end) { return decided }
        let blocks = ByteRange(start: offsetBytes, end: end).wholeBlocks(block)
        guard let first = extent(of: file, at: blocks.startBytes, lane) else {
            return unknown(file, blocks, blocks)
        }
        if first.fileEndBytes >= blocks.endBytes {
            guard first.state == .written else { return unwritten(file, first.state, blocks) }
            let token = startFlight(file, blocks, writeEndBytes: end, lane: lane)
            return .direct(
                token,
                lunOffsetBytes: first.lunOffsetBytes + (blocks.startBytes - first.fileOffsetBytes),
                blocksBytes: Int(blocks.lengthBytes))
        }
        let covered = files[slot].map.coveredPrefix(of: blocks)
        if covered < blocks.endBytes {
            return unknown(file, ByteRange(start: covered, end: blocks.endBytes), blocks)
        }
        var found = ExtentState.written
        let segments = lanes[lane].pieces { pieces in
            files[slot].map.forEachExtent(in: blocks) { extent in
                // What cannot be filled counts before what can.
                switch extent.state {
                case .written: break
                case .hole, .unwritten: found = .hole
                case .shared, .opaque:
                    found = .opaque
                    return false
                }
                pieces.append(
                    DirectSegment(
                        lunOffsetBytes: extent.lunOffsetBytes, lengthBytes: Int(extent.lengthBytes))
                )
                return true
            }
        }
        guard found == .written else { return unwritten(file, found, blocks) }
        let token = startFlight(file, blocks, writeEndBytes: end, lane: lane)
        return .segments(token, segments)
    }

    /// What a write to blocks is of which a part is not known.
    private func unknown(_ file: FileIndex, _ part: ByteRange, _ blocks: ByteRange) -> WritePlan {
        // While a fill of it is under way no other answer counts: there is nothing to ask, but to wait.
        if let pending = files[Int(file.number)].pendingFill, pending.overlaps(part) {
            return .fills(blocks)
        }
        return .needsLayout(part)
    }

    private func extent(of file: FileIndex, at offset: UInt64, _ lane: Int) -> Extent? {
        let slot = Int(file.number)
        let version = files[slot].mapVersion
        if let extent = lanes[lane].rememberedExtent(
            of: file, mapVersion: version, at: offset)
        {
            return extent
        }
        guard let extent = files[slot].map.extent(at: offset) else { return nil }
        lanes[lane].remember(extent, of: file, mapVersion: version)
        return extent
    }

    /// What a write to blocks is that are not all written (rule written-before-grant).
    private func unwritten(
        _ file: FileIndex, _ state: ExtentState, _ blocks: ByteRange
    ) -> WritePlan {
        guard state == .hole || state == .unwritten, mayFill(file, blocks) else { return .redirect }
        return .fills(blocks)
    }

    /// Decides what a write that does not stay within whole blocks of the file can be; nil: its blocks
    /// decide.
    private func planEnd(
        _ file: FileIndex, _ offsetBytes: UInt64, _ end: UInt64
    ) -> WritePlan? {
        let slot = Int(file.number)
        let mask = Limits.blockSizeBytes - 1
        // The broken rule takes any write that starts a block for one that fills it.
        let isWhole = end & mask == 0 || !rules.contains(.wholeBlocks)
        if let growth = files[slot].growth {
            guard end > growth.visibleSizeBytes & ~mask else { return isWhole ? nil : .redirect }
            guard isWhole || end >= growth.sizeBytes, !growth.isClosing else { return .redirect }
            if end > growth.allocatedEndBytes { return .extends }
            return sharesTail(file, ByteRange(start: offsetBytes, end: end)) ? .redirect : nil
        }
        if let size = files[slot].sizeBytes {
            guard end > size & ~mask else { return isWhole ? nil : .redirect }
            return end > size && files[slot].unconfirmedReturns == 0 ? .extends : .redirect
        }
        if isWhole { return nil }
        // The file's end, or the middle of a block: its size tells.
        let blocks = ByteRange(start: offsetBytes, end: end).wholeBlocks(Limits.blockSizeBytes)
        return files[slot].map.extent(at: blocks.startBytes) == nil
            ? .needsLayout(blocks) : .redirect
    }

    /// Whether the zeros with which a write fills its last block would meet another write in flight:
    /// this one's zeros that one's bytes, or the other way round (rule whole-blocks).
    private func sharesTail(_ file: FileIndex, _ range: ByteRange) -> Bool {
        let mask = Limits.blockSizeBytes - 1
        let blocks = range.wholeBlocks(Limits.blockSizeBytes)
        func tail(_ end: UInt64) -> ByteRange? {
            end & mask == 0 ? nil : ByteRange(start: end & ~mask, end: (end & ~mask) + mask + 1)
        }
        let ownTail = tail(range.endBytes)
        return lanes.indices.contains { lane in
            lanes[lane].contains(file) { flight in
                guard let end = flight.writeEndBytes else { return false }
                return ownTail.map(flight.range.overlaps) ?? false
                    || tail(end).map(blocks.overlaps) ?? false
            }
        }
    }
}
