import VolumeModel

/// The direct I/O of one of a node's workers: what is in flight, and what has ended since it was last
/// asked about.
///
/// A worker starts and ends direct I/O in its own lane while the others do so in theirs: the filter
/// itself they only look at. Whoever changes the filter, or looks at more than one lane, has to keep
/// all workers out meanwhile (see ``Lanes``).
struct FilterLane: Sendable {
    /// A direct read or write in flight, over whole blocks.
    struct Flight {
        var file: FileIndex
        var range: ByteRange
        /// Where a write's last byte goes; nil for reads.
        var writeEndBytes: UInt64?
        var isActive: Bool
        /// The layout was taken away without a recall.
        var isRevoked = false
    }

    /// What a lane knows of one file, by the file's index.
    struct File {
        var flightCount = 0
        /// When the last write ended that nobody was told of.
        var lastWriteNanoseconds: UInt64?
    }

    private(set) var flights: [Flight] = []
    private var freeFlights: [Int32] = []
    private(set) var files: [File] = []
    /// The extent that was found last, of which file, and at which version of its map.
    private var lastFile = FileIndex(number: -1)
    private var lastVersion: UInt64 = 0
    private var lastExtent: Extent?
    /// The pieces of the last plan that had several: their memory serves the next one.
    private var pieces: [DirectSegment] = []

    var flightCount: Int { flights.count - freeFlights.count }

    func flightCount(of file: FileIndex) -> Int {
        Int(file.number) < files.count ? files[Int(file.number)].flightCount : 0
    }

    /// The flight's position.
    mutating func start(_ file: FileIndex, _ range: ByteRange, writeEndBytes: UInt64?) -> Int32 {
        let slot = Int(file.number)
        while files.count <= slot { files.append(File()) }
        files[slot].flightCount += 1
        let flight = Flight(
            file: file, range: range, writeEndBytes: writeEndBytes, isActive: true)
        if let free = freeFlights.popLast() {
            flights[Int(free)] = flight
            return free
        }
        precondition(flights.count < DirectToken.flightsPerLaneMaximum, "too many direct I/Os")
        flights.append(flight)
        return Int32(flights.count - 1)
    }

    /// Takes a flight out. `writtenAt`: a write that succeeded then.
    mutating func end(_ position: Int, writtenAt nowNanoseconds: UInt64?) {
        precondition(flights[position].isActive, "a direct I/O ended twice")
        flights[position].isActive = false
        freeFlights.append(Int32(position))
        let slot = Int(flights[position].file.number)
        files[slot].flightCount -= 1
        if let nowNanoseconds { files[slot].lastWriteNanoseconds = nowNanoseconds }
    }

    /// Hands over when a file was last written here; nil: not since the last time.
    mutating func takeLastWrite(_ slot: Int) -> UInt64? {
        guard slot < files.count, let time = files[slot].lastWriteNanoseconds else { return nil }
        files[slot].lastWriteNanoseconds = nil
        return time
    }

    func hasLastWrite(_ slot: Int) -> Bool {
        slot < files.count && files[slot].lastWriteNanoseconds != nil
    }

    /// Of what is in flight on a file, or on all where it is nil, no read counts.
    mutating func revoke(_ file: FileIndex?) {
        for position in flights.indices where file == nil || flights[position].file == file {
            flights[position].isRevoked = true
        }
    }

    /// The extent that was found last, if it is of this version of this file's map and holds the byte
    /// at `offset`. Most reads and writes fall into the extent of the one before, and then the map is not
    /// touched, whose storage all workers count references to.
    func rememberedExtent(
        of file: FileIndex, mapVersion: UInt64, at offset: UInt64
    ) -> Extent? {
        guard file == lastFile, mapVersion == lastVersion, let extent = lastExtent,
            offset >= extent.fileOffsetBytes, offset < extent.fileEndBytes
        else { return nil }
        return extent
    }

    mutating func remember(_ extent: Extent, of file: FileIndex, mapVersion: UInt64) {
        lastFile = file
        lastVersion = mapVersion
        lastExtent = extent
    }

    /// The pieces that `collect` appends. Allocates nothing where the last plan's are not in use any more.
    mutating func pieces(
        collecting collect: (inout [DirectSegment]) -> Void
    ) -> [DirectSegment] {
        pieces.removeAll(keepingCapacity: true)
        collect(&pieces)
        return pieces
    }

    func contains(_ file: FileIndex, where matches: (Flight) -> Bool) -> Bool {
        guard flightCount(of: file) > 0 else { return false }
        return flights.contains { $0.isActive && $0.file == file && matches($0) }
    }
}
