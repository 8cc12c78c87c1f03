import VolumeModel
import VolumeProtocol

/// A file that a node has open, as a small number: an index into the filter's table, so that the data
/// path neither hashes nor counts references.
public struct FileIndex: Hashable, Sendable {
    public let number: Int32

    public init(number: Int32) { self.number = number }
}

/// A direct read or write under way.
public struct DirectToken: Hashable, Sendable {
    public let number: Int32

    public init(number: Int32) { self.number = number }
}

/// What a node may do with its LUN, as a state machine: the cached sector maps, the direct I/O in
/// flight, and the recalls that wait for it. No clock, file, socket or thread: times come in as
/// nanoseconds of a monotonic clock.
public struct FilterCore: Sendable {
    let rules: SafetyRules
    var files: [FilterFile] = []
    var indexes: [FileHandle: FileIndex] = [:]
    var freeFiles: [Int32] = []
    var flights: [Flight] = []
    private var freeFlights: [Int32] = []
    /// What the coordinator granted of attributes and names.
    public var metadata: MetadataCache
    /// Whether this node may use its LUN now. While it may not, every plan is ``ReadPlan/redirect``;
    /// what the maps hold is kept.
    public var isDirect = true
    /// Where only the node's lease protects the volume: when its direct I/O must stop, in nanoseconds
    /// of the clock that the caller's times are of.
    public var directUntilNanoseconds = UInt64.max
    /// Until when this node is a member of the cluster by its own clock, as far as it knows. What the
    /// map alone answers (a hole, the end of the file) no reservation can refuse.
    public var memberUntilNanoseconds = UInt64.max

    /// A direct read or write in flight, over whole blocks.
    struct Flight: Sendable {
        var file: FileIndex
        var range: ByteRange
        /// Where a write's last byte goes; nil for reads.
        var writeEndBytes: UInt64?
        var isActive: Bool
        /// The layout was taken away without a recall.
        var isRevoked = false
    }

    public init(rules: SafetyRules = .all) {
        self.rules = rules
        metadata = MetadataCache(rules: rules)
    }

    /// Counts an open of a file.
    public mutating func open(_ handle: FileHandle) -> FileIndex {
        if let index = indexes[handle] {
            files[Int(index.number)].openCount += 1
            return index
        }
        let index: FileIndex
        if let free = freeFiles.popLast() {
            index = FileIndex(number: free)
            files[Int(free)] = FilterFile(handle: handle)
        } else {
            index = FileIndex(number: Int32(files.count))
            files.append(FilterFile(handle: handle))
        }
        indexes[handle] = index
        return index
    }

    /// Ends an open; the report is what the coordinator has to learn with it. With the last open the
    /// file's map is dropped: by then the kernel has no I/O on it in flight.
    public mutating func close(_ index: FileIndex) -> WriteReport {
        let slot = Int(index.number)
        files[slot].openCount -= 1
        guard files[slot].openCount == 0 else { return WriteReport() }
        var report = reported(files[slot].takeReport(withGrowth: true, now: nil), of: slot)
        if !files[slot].isLost { report.unusedFill = files[slot].fill?.unused }
        if indexes[files[slot].handle] == index { indexes[files[slot].handle] = nil }
        files[slot] = FilterFile(handle: files[slot].handle)
        files[slot].openCount = 0
        freeFiles.append(index.number)
        return report
    }

    public func index(of handle: FileHandle) -> FileIndex? { indexes[handle] }

    public func handle(of index: FileIndex) -> FileHandle { files[Int(index.number)].handle }

    mutating func startFlight(
        _ file: FileIndex, _ range: ByteRange, writeEndBytes: UInt64?
    ) -> DirectToken {
        files[Int(file.number)].flightCount += 1
        if writeEndBytes != nil { files[Int(file.number)].fill?.wrote(range) }
        let flight = Flight(
            file: file, range: range, writeEndBytes: writeEndBytes, isActive: true)
        if let free = freeFlights.popLast() {
            flights[Int(free)] = flight
            return DirectToken(number: free)
        }
        flights.append(flight)
        return DirectToken(number: Int32(flights.count - 1))
    }

    /// A direct read or write has ended at the LUN. Returns the recalls that nothing stands in the way
    /// of any more. `succeeded` writes move the file's times, and its size where it grows.
    public mutating func ended(
        _ token: DirectToken, succeeded: Bool, nowNanoseconds: UInt64
    ) -> [EndedRecall] {
        let flight = flights[Int(token.number)]
        precondition(flight.isActive, "a direct I/O ended twice")
        flights[Int(token.number)].isActive = false
        freeFlights.append(token.number)
        let slot = Int(flight.file.number)
        files[slot].flightCount -= 1
        if let end = flight.writeEndBytes, succeeded {
            files[slot].lastWriteNanoseconds = nowNanoseconds
            files[slot].grow(to: end)
        }
        guard !files[slot].pendingRecalls.isEmpty else { return [] }
        return finishRecalls(of: flight.file, nowNanoseconds: nowNanoseconds)
    }

    /// Whether what a direct read brought may be shown: nobody can have given its blocks to another
    /// file while it was under way. Asked when it completes, before ``ended(_:succeeded:nowNanoseconds:)``.
    public func mayDeliver(_ token: DirectToken, nowNanoseconds: UInt64) -> Bool {
        !rules.contains(.validAtCompletion)
            || (!flights[Int(token.number)].isRevoked && nowNanoseconds < directUntilNanoseconds)
    }

    /// Whether ``ReadPlan/zeros(lengthBytes:)`` and ``ReadPlan/end`` may be answered without the LUN:
    /// a node that stood still may have been fenced, and the hole filled. Else they are redirected.
    public func mayAnswerFromMap(nowNanoseconds: UInt64) -> Bool {
        !rules.contains(.validAtCompletion) || nowNanoseconds < memberUntilNanoseconds
    }

    /// The node's lease has lapsed, or its session is over: of what is in flight, no read counts.
    public mutating func revokeFlights() {
        for index in flights.indices { flights[index].isRevoked = true }
    }

    /// Whether a recall waits for this direct I/O.
    public func delaysRecall(_ token: DirectToken) -> Bool {
        let flight = flights[Int(token.number)]
        return flight.isActive
            && files[Int(flight.file.number)].pendingRecalls.contains {
                $0.range.overlaps(flight.range)
            }
    }

    func hasFlight(_ file: FileIndex, over range: ByteRange) -> Bool {
        guard files[Int(file.number)].flightCount > 0 else { return false }
        return flights.contains { $0.isActive && $0.file == file && $0.range.overlaps(range) }
    }

    /// Direct I/O in flight on all files.
    public var flightCount: Int { flights.count - freeFlights.count }

    /// What the cached maps hold, for statistics.
    public var extentCount: Int { files.reduce(0) { $0 + $1.map.extentCount } }
}
