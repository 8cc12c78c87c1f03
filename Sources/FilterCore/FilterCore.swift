import VolumeModel
import VolumeProtocol

/// A file that a node has open, as a small number: an index into the filter's table, so that the data
/// path neither hashes nor counts references.
public struct FileIndex: Hashable, Sendable {
    public let number: Int32

    public init(number: Int32) { self.number = number }
}

/// What a node may do with its LUN, as a state machine: the cached sector maps, the direct I/O in
/// flight, and the recalls that wait for it. No clock, file, socket or thread: times come in as
/// nanoseconds of a monotonic clock.
///
/// Functions that are not `mutating` change one lane at most; see ``FilterLane`` for who may call what
/// at the same time.
public struct FilterCore: Sendable {
    let rules: SafetyRules
    var files: [FilterFile] = []
    var indexes: [FileHandle: FileIndex] = [:]
    var freeFiles: [Int32] = []
    /// One for each of the node's workers.
    let lanes: Lanes<FilterLane>
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

    public init(rules: SafetyRules = .all, lanes: Int = 1) {
        precondition(lanes > 0 && lanes <= DirectToken.lanesMaximum, "one to 256 lanes")
        self.rules = rules
        self.lanes = Lanes(count: lanes, of: FilterLane())
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
            files[Int(free)] = FilterFile(handle: handle, after: files[Int(free)])
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
        var report = takeReport(of: slot, withGrowth: true, now: nil)
        if !files[slot].isLost { report.unusedFill = files[slot].fill?.unused }
        if indexes[files[slot].handle] == index { indexes[files[slot].handle] = nil }
        files[slot] = FilterFile(handle: files[slot].handle, after: files[slot])
        files[slot].openCount = 0
        freeFiles.append(index.number)
        return report
    }

    public func index(of handle: FileHandle) -> FileIndex? { indexes[handle] }

    public func handle(of index: FileIndex) -> FileHandle { files[Int(index.number)].handle }

    /// Whether ``ReadPlan/zeros(lengthBytes:)`` and ``ReadPlan/end`` may be answered without the LUN:
    /// a node that stood still may have been fenced, and the hole filled. Else they are redirected.
    public func mayAnswerFromMap(nowNanoseconds: UInt64) -> Bool {
        !rules.contains(.validAtCompletion) || nowNanoseconds < memberUntilNanoseconds
    }

    /// What the cached maps hold, for statistics.
    public var extentCount: Int { files.reduce(0) { $0 + $1.map.extentCount } }
}
