import VolumeModel
import VolumeProtocol

/// What a task may need for itself.
enum Resource: Hashable {
    /// All names of the volume: shared by what creates, exclusive for what removes. Always claimed
    /// before any file.
    case names
    /// One name, by whoever makes it: of two that make the same one, the second looks once the first
    /// has ended, so that each knows what it did (rule once).
    case name(NameInDirectory)
    /// A file's blocks, size, layouts and opens.
    case file(FileHandle)
    /// A piece of a file's data, by who overwrites it while others may overwrite the rest: with the
    /// file, shared.
    case piece(FileHandle, number: UInt64)

    /// Of one piece: what a request carries at most lies in two of them.
    static let pieceBytes: UInt64 = 1 << 20

    /// The pieces that a range lies in.
    static func pieces(of file: FileHandle, _ range: ByteRange) -> [Resource] {
        guard !range.isEmpty else { return [] }
        return (range.startBytes / pieceBytes...(range.endBytes - 1) / pieceBytes).map {
            .piece(file, number: $0)
        }
    }

    var file: FileHandle? {
        switch self {
        case .names, .name: nil
        case .file(let file), .piece(let file, _): file
        }
    }
}

/// Who works on what. Claims on one resource are served in the order of their coming; a task asks for
/// all claims of a stage at once, so the queues of all resources hold tasks in the same order, and no
/// circle of waiting can arise.
struct ClaimTable {
    enum Mode { case shared, exclusive }

    private struct Entry {
        var task: TaskID
        var mode: Mode
        var isHeld: Bool
    }

    private var queues: [Resource: [Entry]] = [:]

    /// Queues for every resource; returns how many are not held yet.
    mutating func claim(_ resources: [(Resource, Mode)], by task: TaskID) -> Int {
        var missing = 0
        for (resource, mode) in resources {
            var queue = queues[resource] ?? []
            let isFree = queue.allSatisfy { $0.isHeld && $0.mode == .shared && mode == .shared }
            queue.append(Entry(task: task, mode: mode, isHeld: isFree || queue.isEmpty))
            if !(queue.last?.isHeld ?? false) { missing += 1 }
            queues[resource] = queue
        }
        return missing
    }

    /// Leaves the queues of every resource; returns the tasks that gained one each time they did.
    mutating func release(_ resources: [Resource], by task: TaskID) -> [TaskID] {
        var gained: [TaskID] = []
        for resource in resources {
            guard var queue = queues[resource] else { continue }
            queue.removeAll { $0.task == task }
            for index in queue.indices where !queue[index].isHeld {
                let before = queue[..<index]
                let fits =
                    before.isEmpty
                    || (queue[index].mode == .shared && before.allSatisfy { $0.mode == .shared })
                guard fits else { break }
                queue[index].isHeld = true
                gained.append(queue[index].task)
            }
            queues[resource] = queue.isEmpty ? nil : queue
        }
        return gained
    }

    func isClaimed(_ resource: Resource) -> Bool { queues[resource] != nil }
}
