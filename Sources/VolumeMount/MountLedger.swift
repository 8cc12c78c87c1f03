import CLinux
import Glibc
import Locking
import VolumeModel
import VolumeProtocol

/// What a later process must know of a mount to go on with it: the kernel's node numbers, what is open,
/// the locks that are held, and how far files have grown that only this node knows of. It lies in
/// memory that outlives the process, and is true at every moment for what the kernel was told (decision
/// 18): noted before the answer, struck out after it.
///
/// Records of eight words of 64 bits; the first one tells what it is, and is written last.
final class MountLedger: Sendable {
    struct Slot: Hashable, Sendable {
        var number: Int32
        /// Of what there was no room for.
        static let none = Slot(number: -1)
    }

    /// One record without its kind.
    enum Record: Hashable, Sendable {
        case node(UInt64, FileHandle, lookups: UInt64)
        /// `isLost`: whatever is asked of it answers EIO, until the kernel closes it.
        case open(OpenID, FileHandle, index: Int32, isLost: Bool)
        /// Of the file of its open.
        case lock(LockRequest)
        case growth(index: Int32, GrowthClaim, sizeBytes: UInt64)
    }

    private struct State {
        var free: [Int32] = []
        var count: Int32 = 0
    }

    private enum Kind: UInt64 {
        case free = 0
        case node = 1
        case open = 2
        case lock = 3
        case growth = 4
        case lostOpen = 5
    }

    private enum Head: Int {
        case magic = 0
        case count = 1
        case lastOpen = 2
        case sessionEpoch = 3
        /// More was to be noted than there is room for.
        case isIncomplete = 4
    }

    private static let magic: UInt64 = 0x31_7265_6764_656c
    private static let recordWords = 8
    private static let capacity = 1 << 20
    private static let headBytes = 4096
    private static let lengthBytes = headBytes + capacity * recordWords * 8

    /// For a holder to keep.
    let file: Int32
    // Sound: constant, unmapped with the last reference. A record is written by whoever has its slot,
    // the count under the lock, `lastOpen` under the mount's, `sessionEpoch` by the one who opens sessions;
    // `isIncomplete` only ever becomes 1.
    private nonisolated(unsafe) let memory: UnsafeMutablePointer<UInt64>
    private let state = Lock(State())

    init() throws(ErrorCode) {
        let file = covol_fuse_memory(Self.lengthBytes)
        guard file >= 0 else { throw ErrorCode(-file) }
        guard let memory = covol_fuse_map_shared(Self.lengthBytes, file) else {
            close(file)
            throw .noMemory
        }
        self.file = file
        self.memory = memory.assumingMemoryBound(to: UInt64.self)
        self[.magic] = Self.magic
    }

    /// That of an ended process. `file` becomes this object's, also where this throws.
    init(adopting file: Int32) throws(ErrorCode) {
        var status = stat()
        guard fstat(file, &status) == 0, status.st_size == off_t(Self.lengthBytes),
            let memory = covol_fuse_map_shared(Self.lengthBytes, file)
        else {
            close(file)
            throw .notSupported
        }
        self.file = file
        self.memory = memory.assumingMemoryBound(to: UInt64.self)
        guard self[.magic] == Self.magic, self[.isIncomplete] == 0,
            self[.count] <= UInt64(Self.capacity)
        else { throw .notSupported }
        let count = Int32(self[.count])
        let free = (0..<count).filter { place(Slot(number: $0))[0] == Kind.free.rawValue }
        state.withLock { state in
            state.count = count
            state.free = Array(free.reversed())
        }
    }

    deinit {
        covol_fuse_unmap(memory, Self.lengthBytes)
        close(file)
    }

    private subscript(head: Head) -> UInt64 {
        get { memory[head.rawValue] }
        set { memory[head.rawValue] = newValue }
    }

    /// The number of the last open that was made.
    var lastOpen: UInt64 {
        get { self[.lastOpen] }
        set { self[.lastOpen] = newValue }
    }

    /// The epoch whose coordinator knows all of this; 0: none does.
    var sessionEpoch: UInt64 {
        get { self[.sessionEpoch] }
        set { self[.sessionEpoch] = newValue }
    }

    // MARK: Records

    private func place(_ slot: Slot) -> UnsafeMutablePointer<UInt64> {
        memory + Self.headBytes / 8 + Int(slot.number) * Self.recordWords
    }

    /// Where there is no room, no process can adopt the mount.
    func add(_ record: Record) -> Slot {
        let slot: Slot? = state.withLock { state in
            if let free = state.free.popLast() { return Slot(number: free) }
            guard state.count < Self.capacity else { return nil }
            state.count += 1
            self[.count] = UInt64(state.count)
            return Slot(number: state.count - 1)
        }
        guard let slot else {
            self[.isIncomplete] = 1
            return .none
        }
        write(record, slot)
        return slot
    }

    func remove(_ slot: Slot?) {
        guard let slot, slot != .none else { return }
        place(slot)[0] = Kind.free.rawValue
        state.withLock { $0.free.append(slot.number) }
    }

    func set(lookups: UInt64, of slot: Slot) {
        guard slot != .none else { return }
        place(slot)[2] = lookups
    }

    /// An open is good for nothing any more.
    func lose(_ slot: Slot) {
        guard slot != .none else { return }
        place(slot)[0] = Kind.lostOpen.rawValue
    }

    /// How far a growth has come: the same one, or another of the same file.
    func set(_ growth: GrowthClaim, sizeBytes: UInt64, of slot: Slot) {
        guard slot != .none else { return }
        let words = place(slot)
        // What is between them is true for either.
        if words[2] != growth.visibleSizeBytes { words[2] = growth.visibleSizeBytes }
        if words[3] != growth.allocatedEndBytes { words[3] = growth.allocatedEndBytes }
        words[4] = sizeBytes
    }

    /// The volume's root, which is noted first.
    var root: FileHandle? {
        guard case .node(NodeTable.root, let root, _) = read(Slot(number: 0), [:]) else {
            return nil
        }
        return root
    }

    /// Everything that is noted, with its slots.
    var records: [(slot: Slot, record: Record)] {
        let count = state.withLock { $0.count }
        var files: [UInt64: FileHandle] = [:]
        var records: [(Slot, Record)] = []
        // Locks tell their file by its open.
        for wantsLocks in [false, true] {
            for number in 0..<count {
                let slot = Slot(number: number)
                let isLock = place(slot)[0] & 0xff == Kind.lock.rawValue
                guard isLock == wantsLocks, let record = read(slot, files) else { continue }
                if case .open(let open, let file, _, false) = record { files[open.number] = file }
                records.append((slot, record))
            }
        }
        return records
    }

    private func write(_ record: Record, _ slot: Slot) {
        let words = place(slot)
        func put(_ handle: FileHandle, at index: Int) {
            words[index] = UInt64(UInt32(bitPattern: handle.kind)) << 8 | UInt64(handle.length)
            for word in 0..<4 { words[index + 1 + word] = 0 }
            for (position, byte) in handle.bytes.enumerated() {
                words[index + 1 + position / 8] |= UInt64(byte) << UInt64(8 * (position % 8))
            }
        }
        let kind: UInt64
        switch record {
        case .node(let number, let handle, let lookups):
            kind = Kind.node.rawValue
            words[1] = number
            words[2] = lookups
            put(handle, at: 3)
        case .open(let open, let handle, let index, let isLost):
            kind = (isLost ? Kind.lostOpen : .open).rawValue
            words[1] = open.number
            words[2] = UInt64(index)
            put(handle, at: 3)
        case .lock(let lock):
            kind =
                Kind.lock.rawValue | UInt64(lock.kind.rawValue) << 8
                | UInt64(lock.type.rawValue) << 16 | UInt64(lock.processID) << 32
            words[1] = lock.open.number
            words[2] = lock.owner
            words[3] = lock.startBytes
            words[4] = lock.lastBytes
        case .growth(let index, let claim, let size):
            kind = Kind.growth.rawValue
            words[1] = UInt64(index)
            words[2] = claim.visibleSizeBytes
            words[3] = claim.allocatedEndBytes
            words[4] = size
        }
        covol_fuse_fence()
        words[0] = kind
        covol_fuse_fence()
    }

    private func read(_ slot: Slot, _ files: [UInt64: FileHandle]) -> Record? {
        let words = place(slot)
        func handle(at index: Int) -> FileHandle? {
            let length = Int(words[index] & 0xff)
            // A longer one would lie beyond its record.
            guard length <= FileHandle.maximumLength else { return nil }
            let bytes = (0..<length).map {
                UInt8(truncatingIfNeeded: words[index + 1 + $0 / 8] >> UInt64(8 * ($0 % 8)))
            }
            return FileHandle(
                kind: Int32(truncatingIfNeeded: words[index] >> 8), bytes: bytes)
        }
        let kind = Kind(rawValue: words[0] & 0xff)
        switch kind {
        case .node:
            return handle(at: 3).map { .node(words[1], $0, lookups: words[2]) }
        case .open, .lostOpen:
            return handle(at: 3).map {
                .open(
                    OpenID(words[1]), $0, index: Int32(truncatingIfNeeded: words[2]),
                    isLost: kind == .lostOpen)
            }
        case .lock:
            guard let file = files[words[1]],
                let kind = LockKind(rawValue: UInt8(truncatingIfNeeded: words[0] >> 8)),
                let type = LockType(rawValue: UInt8(truncatingIfNeeded: words[0] >> 16))
            else { return nil }
            return .lock(
                LockRequest(
                    file: file, open: OpenID(words[1]), owner: words[2], kind: kind, type: type,
                    startBytes: words[3], lastBytes: words[4],
                    processID: UInt32(words[0] >> 32), waits: false))
        case .growth:
            return .growth(
                index: Int32(truncatingIfNeeded: words[1]),
                GrowthClaim(visibleSizeBytes: words[2], allocatedEndBytes: words[3]),
                sizeBytes: words[4])
        case .free, nil: return nil
        }
    }
}
