import CoordinatorCore
import VolumeModel

/// All metadata of the model file system: a value, so that what a journal's transactions made of it
/// can be kept, and a crash can go back to one of them.
struct FileSystemState {
    enum Mapping: Hashable {
        case hole
        case unwritten(Int)
        case written(Int)

        var block: Int? {
            switch self {
            case .hole: nil
            case .unwritten(let block), .written(let block): block
            }
        }
    }

    struct Inode {
        var generation: UInt32
        var sizeBytes: UInt64 = 0
        var links = 1
        /// By block of the file; what lies beyond is a hole.
        var blocks: [Mapping] = []
        /// A reflink has been made of it: its writes go through the copy-on-write fork.
        var isReflinked = false
        /// The value of the one extended attribute that the workload uses.
        var attribute: UInt64?

        func mapping(_ index: Int) -> Mapping { index < blocks.count ? blocks[index] : .hole }
    }

    /// What an operation of the workload has done. No file system keeps this: it is here, in the same
    /// transactions, so that the checks know which effects a crash took back.
    struct Effect: Hashable {
        var count = 0
        var result: UInt64
        /// To do it again is something else than to do it once.
        var mustBeOnce = false
        /// The request that it was.
        var key: OnceKey?
    }

    var inodes: [UInt32: Inode] = [:]
    var names: [[UInt8]: UInt32] = [:]
    /// Inodes that lost their last name while in use; they have one in the private directory.
    var hidden: Set<UInt32> = []
    /// Notes of growth under way: the visible sizes, and whose it is.
    var growthNotes: [UInt32: (sizeBytes: UInt64, holder: String)] = [:]
    /// The records of exactly-once execution, by node and slot.
    var onceRecords: [OnceSlot: OnceRecord] = [:]
    /// How many mappings each block of the LUN has.
    var references: [UInt8]
    var effects: [UInt64: Effect] = [:]
    var lastInode: UInt32 = 1
    var lastGeneration: UInt32 = 0
    /// Counts the transactions.
    var version: UInt64 = 0

    init(blocks: Int) { references = Array(repeating: 0, count: blocks) }

    static func handle(_ inode: UInt32, _ generation: UInt32) -> FileHandle {
        var bytes: [UInt8] = []
        for word in [inode, generation] {
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        guard let handle = FileHandle(kind: 1, bytes: bytes) else {
            preconditionFailure("eight bytes make a handle")
        }
        return handle
    }

    /// The inode of a handle; nil where that file is gone, whatever has its number now.
    func inode(of handle: FileHandle) -> UInt32? {
        let number = Self.number(of: handle)
        guard let inode = inodes[number], Self.handle(number, inode.generation) == handle else {
            return nil
        }
        return number
    }

    static func number(of handle: FileHandle) -> UInt32 {
        let bytes = handle.bytes
        guard bytes.count == 8 else { return 0 }
        return UInt32(bytes[0]) | UInt32(bytes[1]) << 8 | UInt32(bytes[2]) << 16
            | UInt32(bytes[3]) << 24
    }

    func handle(of number: UInt32) -> FileHandle {
        Self.handle(number, inodes[number]?.generation ?? 0)
    }

    /// True where a block of the LUN belongs to this file at this block, written, and to nothing else.
    func owns(_ handle: FileHandle, fileBlock: Int, block: Int) -> Bool {
        guard let number = inode(of: handle), let inode = inodes[number] else { return false }
        return inode.mapping(fileBlock) == .written(block) && references[block] == 1
    }

    /// What recovery frees: files without any name.
    mutating func freeOrphans() {
        for number in inodes.keys.sorted() where inodes[number]?.links == 0 {
            for mapping in inodes[number]?.blocks ?? [] {
                if let block = mapping.block { references[block] -= 1 }
            }
            inodes[number] = nil
        }
    }
}
