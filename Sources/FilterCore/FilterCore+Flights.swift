import VolumeModel
import VolumeProtocol

/// A direct read or write under way: a lane, and a position there.
public struct DirectToken: Hashable, Sendable {
    /// How many lanes there may be, and direct I/Os under way in each.
    public static let lanesMaximum = 256
    static let flightsPerLaneMaximum = 1 << positionBits
    private static let positionBits = 22

    public let number: Int32

    public init(number: Int32) { self.number = number }

    public init(lane: Int, position: Int32) { number = Int32(lane << Self.positionBits) | position }

    public var lane: Int { Int(number >> Int32(Self.positionBits)) }
    public var position: Int { Int(number) & (Self.flightsPerLaneMaximum - 1) }
}

/// Direct I/O from its start to its end.
extension FilterCore {
    /// In `lane`, and nothing else changes.
    func startFlight(
        _ file: FileIndex, _ range: ByteRange, writeEndBytes: UInt64?, lane: Int
    ) -> DirectToken {
        DirectToken(
            lane: lane,
            position: lanes[lane].start(file, range, writeEndBytes: writeEndBytes))
    }

    /// A direct read or write has ended at the LUN. Returns the recalls that nothing stands in the way
    /// of any more. `succeeded` writes move the file's times, and its size where it grows.
    public mutating func ended(
        _ token: DirectToken, succeeded: Bool, nowNanoseconds: UInt64
    ) -> [EndedRecall] {
        let flight = lanes[token.lane].flights[token.position]
        let end = succeeded ? flight.writeEndBytes : nil
        lanes[token.lane].end(token.position, writtenAt: end == nil ? nil : nowNanoseconds)
        let slot = Int(flight.file.number)
        if let end { files[slot].grow(to: end) }
        guard !files[slot].pendingRecalls.isEmpty else { return [] }
        return finishRecalls(of: flight.file, nowNanoseconds: nowNanoseconds)
    }

    /// Ends a direct read or write that succeeded, where it concerns nobody but its lane: what a read
    /// brought may be shown, no recall waits for it, and the file is not lengthened here. False: nothing
    /// was done, and ``mayDeliver(_:nowNanoseconds:)`` and ``ended(_:succeeded:nowNanoseconds:)`` are to
    /// be asked.
    public func endAlone(_ token: DirectToken, nowNanoseconds: UInt64) -> Bool {
        let flight = lanes[token.lane].flights[token.position]
        let slot = Int(flight.file.number)
        let isWrite = flight.writeEndBytes != nil
        guard files[slot].pendingRecalls.isEmpty, files[slot].growth == nil, !files[slot].isLost,
            isWrite || mayDeliver(token, nowNanoseconds: nowNanoseconds)
        else { return false }
        lanes[token.lane].end(token.position, writtenAt: isWrite ? nowNanoseconds : nil)
        return true
    }

    /// Whether what a direct read brought may be shown: nobody can have given its blocks to another
    /// file while it was under way. Asked when it completes, before ``ended(_:succeeded:nowNanoseconds:)``.
    public func mayDeliver(_ token: DirectToken, nowNanoseconds: UInt64) -> Bool {
        !rules.contains(.validAtCompletion)
            || (!lanes[token.lane].flights[token.position].isRevoked
                && nowNanoseconds < directUntilNanoseconds)
    }

    /// The node's lease has lapsed, or its session is over: of what is in flight, no read counts.
    public mutating func revokeFlights() {
        for lane in lanes.indices { lanes[lane].revoke(nil) }
    }

    /// Whether a recall waits for this direct I/O.
    public func delaysRecall(_ token: DirectToken) -> Bool {
        let flight = lanes[token.lane].flights[token.position]
        return flight.isActive
            && files[Int(flight.file.number)].pendingRecalls.contains {
                $0.range.overlaps(flight.range)
            }
    }

    func hasFlight(_ file: FileIndex, over range: ByteRange) -> Bool {
        lanes.indices.contains { lane in lanes[lane].contains(file) { $0.range.overlaps(range) } }
    }

    /// Direct I/O in flight on all files.
    public var flightCount: Int { lanes.indices.reduce(0) { $0 + lanes[$1].flightCount } }

    /// Takes what the coordinator has to learn of a file; `now`: see ``FilterFile/takeReport``.
    mutating func takeReport(of slot: Int, withGrowth: Bool, now: UInt64?) -> WriteReport {
        takeLastWrites(slot)
        let report = files[slot].takeReport(withGrowth: withGrowth, now: now)
        // What a report tells is the coordinator's to show from now on, and newer than what it granted.
        if !report.isEmpty { metadata.dropAttributes(of: files[slot].handle) }
        return report
    }

    /// The time of the last write, from the lanes to the file.
    mutating func takeLastWrites(_ slot: Int) {
        for lane in lanes.indices {
            guard let time = lanes[lane].takeLastWrite(slot) else { continue }
            files[slot].lastWriteNanoseconds = max(files[slot].lastWriteNanoseconds ?? 0, time)
        }
    }

    func hasUnreportedWrites(_ slot: Int) -> Bool {
        files[slot].lastWriteNanoseconds != nil
            || lanes.indices.contains { lanes[$0].hasLastWrite(slot) }
    }
}
