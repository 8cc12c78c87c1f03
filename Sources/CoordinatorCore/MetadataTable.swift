import VolumeModel
import VolumeProtocol

/// Who may show which inodes' metadata without asking, and what is being changed: only what nobody
/// changes, and nobody changed since it was looked at, is granted.
struct MetadataTable {
    private struct Inode {
        var holders: [NodeIdentity] = []
        /// Tasks that change it, or are about to.
        var changers: [TaskID] = []

        var isEmpty: Bool { holders.isEmpty && changers.isEmpty }
    }

    /// What has changed since a task began to look.
    private enum Seen {
        case changed(Set<FileHandle>)
        /// Too much to list.
        case everything
    }

    /// A session's grants in the order of their making; some have ended since.
    private struct Order {
        var files: [FileHandle] = []
        var start = 0
        var count = 0
    }

    private let grantsMaximum: Int
    private var inodes: [FileHandle: Inode] = [:]
    private var readers: [TaskID: Seen] = [:]
    private var orders: [NodeIdentity: Order] = [:]

    static let changesPerReaderMaximum = 4096

    init(grantsMaximum: Int = Limits.metadataGrantsPerSessionMaximum) {
        self.grantsMaximum = grantsMaximum
    }

    // MARK: Looking

    /// From here on, what changes is not granted to this task.
    mutating func beginReading(_ task: TaskID) {
        if readers[task] == nil { readers[task] = .changed([]) }
    }

    mutating func endReading(_ task: TaskID) { readers[task] = nil }

    /// Whether what this task saw of an inode still holds, but for its own changes.
    func isUnchanged(_ file: FileHandle, for task: TaskID) -> Bool {
        guard case .changed(let files)? = readers[task], !files.contains(file) else { return false }
        return inodes[file]?.changers.allSatisfy { $0 == task } ?? true
    }

    // MARK: Changing

    /// Nobody is granted the inode until the change has ended. Returns who holds it, in order.
    mutating func beginChange(_ file: FileHandle, by task: TaskID) -> [NodeIdentity] {
        if inodes[file]?.changers.contains(task) != true {
            inodes[file, default: Inode()].changers.append(task)
            noteChange(file, by: task)
        }
        return holders(of: file)
    }

    mutating func endChange(_ file: FileHandle, by task: TaskID) {
        inodes[file]?.changers.removeAll { $0 == task }
        noteChange(file, by: task)
        forgetIfEmpty(file)
    }

    private mutating func noteChange(_ file: FileHandle, by task: TaskID) {
        for (reader, seen) in readers where reader != task {
            guard case .changed(var files) = seen else { continue }
            files.insert(file)
            readers[reader] =
                files.count > Self.changesPerReaderMaximum ? .everything : .changed(files)
        }
    }

    // MARK: Grants

    func holders(of file: FileHandle) -> [NodeIdentity] {
        // The order must not depend on hashing or arrival, or a seed would not replay.
        (inodes[file]?.holders ?? []).sorted {
            ($0.name, $0.incarnation.number) < ($1.name, $1.incarnation.number)
        }
    }

    /// Takes note of a grant. Returns what has to be recalled, where the session holds too much.
    mutating func grant(_ file: FileHandle, to session: NodeIdentity) -> FileHandle? {
        if inodes[file]?.holders.contains(session) == true { return nil }
        inodes[file, default: Inode()].holders.append(session)
        var order = orders[session] ?? Order()
        order.files.append(file)
        order.count += 1
        defer { orders[session] = order }
        if order.files.count - order.start > 2 * grantsMaximum {
            var seen: Set<FileHandle> = []
            order.files = order.files[order.start...].filter {
                inodes[$0]?.holders.contains(session) == true && seen.insert($0).inserted
            }
            order.start = 0
        }
        guard order.count > grantsMaximum else { return nil }
        while order.start < order.files.count {
            let oldest = order.files[order.start]
            order.start += 1
            if oldest != file, inodes[oldest]?.holders.contains(session) == true { return oldest }
        }
        return nil
    }

    /// A session holds an inode no more.
    mutating func returned(_ file: FileHandle, by session: NodeIdentity) {
        guard let index = inodes[file]?.holders.firstIndex(of: session) else { return }
        inodes[file]?.holders.remove(at: index)
        orders[session]?.count -= 1
        forgetIfEmpty(file)
    }

    mutating func endSession(_ session: NodeIdentity) {
        guard let order = orders.removeValue(forKey: session) else { return }
        for file in order.files {
            inodes[file]?.holders.removeAll { $0 == session }
            forgetIfEmpty(file)
        }
    }

    private mutating func forgetIfEmpty(_ file: FileHandle) {
        if inodes[file]?.isEmpty == true { inodes[file] = nil }
    }

    /// Inodes that are known here, for tests.
    var inodeCount: Int { inodes.count }
}
