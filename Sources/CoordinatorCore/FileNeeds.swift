import VolumeModel
import VolumeProtocol

/// fallocate(2)'s modes, `linux/falloc.h`.
enum AllocationMode {
    static let keepSize: UInt32 = 0x01
    static let collapse: UInt32 = 0x08
    static let insert: UInt32 = 0x20
}

/// rename flags, `linux/fs.h`.
enum RenameFlags {
    static let noReplace: UInt32 = 1
    static let exchange: UInt32 = 2
}

/// setxattr(2)'s flags, `linux/xattr.h`.
enum AttributeFlags {
    static let create: UInt32 = 1
}

/// What must be so before a task's own command may run.
struct FileNeeds {
    var file: FileHandle
    /// Nobody may hold a layout over this.
    var free: ByteRange?
    /// … but the asking session itself.
    var exceptOwnLayouts = false
    /// Nobody but this session may hold the file's growth, whose end shows in sizes.
    var settledGrowth = false
    /// Everybody has told what it wrote directly.
    var collectedWrites = false
}

extension CoordinatorCore {
    /// What an operation asks of the files it works on (rules recall-before-remap, whole-blocks).
    /// Needs the size of the file where the operation may lengthen or shorten it.
    func needs(of operation: Operation, payloadBytes: Int) -> [FileNeeds] {
        switch operation {
        case .attributes(let file):
            return [FileNeeds(file: file, settledGrowth: true, collectedWrites: true)]
        case .setAttributes(let file, let change):
            var needs = FileNeeds(file: file, settledGrowth: true, collectedWrites: true)
            if let size = change.sizeBytes { needs.free = tail(of: file, from: size) }
            return [needs]
        case .allocate(let file, let mode, let range):
            return [FileNeeds(file: file, free: freed(file, mode, range), settledGrowth: true)]
        case .write(let file, let offset, let flags):
            if flags.contains(.append) {
                return [FileNeeds(file: file, free: growthRange(of: file))]
            }
            let range = ByteRange(offset: offset, length: UInt64(payloadBytes))
            return [FileNeeds(file: file, free: remapped(file, range))]
        case .copyRange(let source, _, let target, let offset, let length):
            let range = ByteRange(offset: offset, length: length)
            return [
                // The asking node's own growth too: what it has not written yet is no data.
                FileNeeds(
                    file: source, free: files[source]?.growth.map { _ in growthRange(of: source) },
                    settledGrowth: true),
                FileNeeds(file: target, free: remapped(target, range), settledGrowth: true),
            ]
        case .read(let file, let range):
            let state = files[file]
            let reachesGrowth = state?.growth.map { range.endBytes > $0.visibleSizeBytes } ?? false
            return [FileNeeds(file: file, free: reachesGrowth ? growthRange(of: file) : nil)]
        case .layoutGet(let file, let range):
            let state = files[file]
            let reachesGrowth = state?.growth.map { range.endBytes > $0.visibleSizeBytes } ?? false
            return [FileNeeds(file: file, settledGrowth: reachesGrowth)]
        case .layoutGrow(let file, _):
            return [
                FileNeeds(
                    file: file, free: growthRange(of: file), exceptOwnLayouts: true,
                    settledGrowth: true)
            ]
        case .layoutFill(let file, let range):
            return [
                FileNeeds(file: file, free: filled(file, range), exceptOwnLayouts: true)
            ]
        case .seek(let file, _, _):
            return [
                FileNeeds(file: file, free: files[file]?.growth.map { _ in growthRange(of: file) })
            ]
        default:
            return []
        }
    }

    /// Whether an operation's needs depend on the size of a file.
    func fileToSize(_ operation: Operation) -> FileHandle? {
        switch operation {
        case .setAttributes(let file, let change):
            change.sizeBytes == nil ? nil : file
        case .allocate(let file, _, _), .write(let file, _, _), .layoutGrow(let file, _),
            .layoutFill(let file, _):
            file
        case .copyRange(_, _, let target, _, _):
            target
        default:
            nil
        }
    }

    /// Everything from the block on in which `size`, or the file's end, lies.
    func tail(of file: FileHandle, from size: UInt64) -> ByteRange {
        let start = min(size, files[file]?.visibleSizeBytes ?? 0)
        return ByteRange(start: start & ~(Limits.blockSizeBytes - 1), end: .max)
    }

    private func growthRange(of file: FileHandle) -> ByteRange {
        tail(of: file, from: .max)
    }

    /// The whole blocks of a range within the size that everybody is shown.
    func filled(_ file: FileHandle, _ range: ByteRange) -> ByteRange {
        let mask = Limits.blockSizeBytes - 1
        let end = min(
            range.wholeBlocks(Limits.blockSizeBytes).endBytes,
            (files[file]?.visibleSizeBytes ?? 0) & ~mask)
        return ByteRange(start: min(range.startBytes & ~mask, end), end: end)
    }

    private func freed(_ file: FileHandle, _ mode: UInt32, _ range: ByteRange) -> ByteRange {
        if mode & (AllocationMode.collapse | AllocationMode.insert) != 0 {
            return tail(of: file, from: range.startBytes)
        }
        if mode & AllocationMode.keepSize != 0 {
            return range.wholeBlocks(Limits.blockSizeBytes)
        }
        return remapped(file, range)
    }

    /// The blocks that a write of `range` may map anew, or fill through the page cache.
    private func remapped(_ file: FileHandle, _ range: ByteRange) -> ByteRange {
        let size = files[file]?.visibleSizeBytes ?? 0
        if range.endBytes > size { return tail(of: file, from: range.startBytes) }
        let blocks = range.wholeBlocks(Limits.blockSizeBytes)
        if rules.contains(.wholeBlocks) || blocks == range { return blocks }
        // The broken rule: only blocks that the write fills altogether.
        let mask = Limits.blockSizeBytes - 1
        let start = min(blocks.endBytes, (range.startBytes + mask) & ~mask)
        return ByteRange(start: start, end: max(start, range.endBytes & ~mask))
    }
}

extension Operation {
    /// Whether the file of its last name may lose that name.
    var removesLastOperand: Bool {
        switch self {
        case .unlink: true
        case .rename(_, _, let flags):
            flags & (RenameFlags.exchange | RenameFlags.noReplace) == 0
        default: false
        }
    }
}
