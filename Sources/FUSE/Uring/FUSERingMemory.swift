import CLinux
import Glibc
import VolumeModel

/// The memory of a worker's ring entries, seen at two addresses, and what a later process must know of
/// them.
///
/// An entry's place is told to the kernel once and for good, but the LUN I/O of a request that was
/// left behind may use its pages for ever. So the kernel's FUSE gets one view of the pages and all
/// else uses the other; an entry whose pages are not its own any more shows others from then on.
///
/// The kernel's view lies where no process has anything else, so that a process that adopts the mount
/// can have it at the same address (decision 18).
final class FUSERingMemory: Sendable {
    /// The kernel's views begin here: far below what mmap(2) chooses by itself.
    private static let regionStart: UInt = 1 << 44
    private static let regionStepBytes: UInt = 1 << 36
    private static let regionCount: UInt = 256

    // Sound: constant addresses, unmapped with the last reference; what lies there is one worker's, or
    // whose request is held in a slot.
    private nonisolated(unsafe) let kernelView: UnsafeMutableRawPointer
    private nonisolated(unsafe) let ownView: UnsafeMutableRawPointer
    /// The memory itself, for a holder to keep.
    let file: Int32
    let state: FUSERingState
    private let lengthBytes: Int

    /// For so many entries, each with its slot, and as many slots that may take the place of others.
    convenience init(entryMaximum: Int) throws(ErrorCode) {
        let length = Self.lengthBytes(entryMaximum)
        let file = covol_fuse_memory(length)
        guard file >= 0 else { throw ErrorCode(-file) }
        var result = -ErrorCode.exists.number
        var address = Self.regionStart
        for number in 0..<Self.regionCount where result == -ErrorCode.exists.number {
            address = Self.regionStart + number * Self.regionStepBytes
            result = covol_fuse_map_at(address, length, file)
        }
        guard result == 0 else {
            close(file)
            throw ErrorCode(-result)
        }
        try self.init(
            mapped: FUSERingState(address: UInt64(address), entryMaximum: entryMaximum), file: file)
    }

    /// What another process had. `file` becomes this object's, also where this throws.
    convenience init(adopting state: FUSERingState, file: Int32) throws(ErrorCode) {
        let length = Self.lengthBytes(state.entryMaximum)
        var status = stat()
        guard state.slotBytes == FUSELimits.slotMemoryBytes, state.isPlausible,
            fstat(file, &status) == 0, status.st_size == off_t(length)
        else {
            close(file)
            throw .notSupported
        }
        let result = covol_fuse_map_at(UInt(state.address), length, file)
        guard result == 0 else {
            close(file)
            throw ErrorCode(-result)
        }
        try self.init(mapped: state, file: file)
    }

    private init(mapped state: FUSERingState, file: Int32) throws(ErrorCode) {
        self.state = state
        self.file = file
        lengthBytes = Self.lengthBytes(state.entryMaximum)
        kernelView = UnsafeMutableRawPointer(bitPattern: UInt(state.address))!
        guard let own = covol_fuse_map_shared(lengthBytes, file) else {
            let error = ErrorCode(errno)
            covol_fuse_unmap(kernelView, lengthBytes)
            close(file)
            throw error
        }
        ownView = own
    }

    deinit {
        covol_fuse_unmap(kernelView, lengthBytes)
        covol_fuse_unmap(ownView, lengthBytes)
        close(file)
    }

    private static func lengthBytes(_ entryMaximum: Int) -> Int {
        2 * entryMaximum * FUSELimits.slotMemoryBytes + FUSERingControl.sizeBytes(entryMaximum)
    }

    /// Where this process finds a slot: its header page, then its buffer.
    func slot(_ number: Int) -> UnsafeMutableRawPointer {
        ownView + number * FUSELimits.slotMemoryBytes
    }

    /// Where the kernel finds an entry's header and payload.
    func entry(_ number: Int) -> UnsafeMutableRawPointer {
        kernelView + number * FUSELimits.slotMemoryBytes
    }

    /// What is noted for a later process, behind the slots.
    var control: FUSERingControl {
        FUSERingControl(
            memory: ownView + 2 * state.entryMaximum * FUSELimits.slotMemoryBytes,
            entryMaximum: state.entryMaximum)
    }

    /// Has the kernel find another slot's pages at an entry's place. Not while it may look there.
    func show(slot: Int, inEntry entry: Int) throws(ErrorCode) {
        let result = covol_fuse_remap(
            self.entry(entry), FUSELimits.slotMemoryBytes, file,
            slot * FUSELimits.slotMemoryBytes)
        if result != 0 { throw ErrorCode(-result) }
    }
}

/// Where a worker's ring memory is, and how it is divided.
public struct FUSERingState: Codable, Hashable, Sendable {
    /// The kernel's view of it.
    public var address: UInt64
    public var entryMaximum: Int
    public var slotBytes = FUSELimits.slotMemoryBytes

    init(address: UInt64, entryMaximum: Int) {
        self.address = address
        self.entryMaximum = entryMaximum
    }

    var isPlausible: Bool {
        entryMaximum > 0
            && entryMaximum <= FUSELimits.slotsPerWorkerMaximum * FUSELimits.workersMaximum
            && address % UInt64(FUSELimits.pageSizeBytes) == 0
    }
}

/// What a worker notes of its entries while it serves them, where a later process finds it: in the
/// order of the stores, whenever this process ends.
struct FUSERingControl {
    struct Entry {
        /// The request whose answer is being written, and the last one whose answer is complete, by
        /// their commit numbers.
        var answering: UInt64
        var answered: UInt64
        /// The request's opcode.
        var opcode: UInt32
        /// The slot whose pages it shows, counted from the first of the memory.
        var slot: Int32
        /// The position of its queue.
        var queue: Int32
        var isRegistered: UInt32
        /// An answer is complete, and may not have reached the kernel yet.
        var isAnswerOnItsWay: UInt32
        var padding: UInt32 = 0
    }

    private struct Head {
        var lastFile: UInt64
    }

    /// Numbers of requests are remembered so far back.
    static let seenCapacity = 1 << 13

    private let head: UnsafeMutablePointer<Head>
    let entries: UnsafeMutableBufferPointer<Entry>
    /// The numbers of the last requests that came, each at its place modulo the capacity.
    private let seen: UnsafeMutablePointer<UInt64>

    static func sizeBytes(_ entryMaximum: Int) -> Int {
        let bytes =
            FUSELimits.pageSizeBytes + entryMaximum * MemoryLayout<Entry>.stride + seenCapacity * 8
        return (bytes + FUSELimits.pageSizeBytes - 1) & ~(FUSELimits.pageSizeBytes - 1)
    }

    init(memory: UnsafeMutableRawPointer, entryMaximum: Int) {
        head = memory.assumingMemoryBound(to: Head.self)
        let table = memory + FUSELimits.pageSizeBytes
        entries = UnsafeMutableBufferPointer(
            start: table.assumingMemoryBound(to: Entry.self), count: entryMaximum)
        seen = (table + entryMaximum * MemoryLayout<Entry>.stride)
            .assumingMemoryBound(to: UInt64.self)
    }

    /// The node of the last data request.
    var lastFile: UInt64 {
        get { head.pointee.lastFile }
        nonmutating set { head.pointee.lastFile = newValue }
    }

    /// The kernel numbers requests in steps of two.
    private static func place(_ unique: UInt64) -> Int { Int(unique / 2 % UInt64(seenCapacity)) }

    func note(_ unique: UInt64) { seen[Self.place(unique)] = unique }

    func hasSeen(_ unique: UInt64) -> Bool { seen[Self.place(unique)] == unique }

    var lastSeen: UInt64 {
        (0..<Self.seenCapacity).reduce(0) { max($0, seen[$1]) }
    }
}
