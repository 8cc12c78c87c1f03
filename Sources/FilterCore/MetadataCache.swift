import VolumeModel
import VolumeProtocol

/// What a node may show of a volume's metadata without asking: attributes by file, and names by
/// directory, those that are not there among them. It holds what a coordinator granted and has not
/// recalled.
///
/// Grants and recalls overtake each other on their way. What decides is the order in which things
/// happened *here*: an answer's grant is taken only if nothing ended it since its request was sent
/// (rule order-of-grant-and-recall). A grant was made after its request came, and is recalled after
/// that: its recall comes while the request waits, or after the answer.
public struct MetadataCache: Sendable {
    /// What a request was sent under, see ``begin(_:)``.
    public struct Request: Sendable {
        var time: UInt64
        var changed: [MetadataItem]
    }

    /// What is known of a name.
    public enum Name: Hashable, Sendable {
        case file(FileHandle)
        case absent
    }

    private struct Inode: Sendable {
        var attributes: FileAttributes?
        var names: [[UInt8]: Name] = [:]

        var entryCount: Int { names.count + (attributes == nil ? 0 : 1) }
    }

    private enum Ended: Hashable {
        case inode(FileHandle)
        case item(MetadataItem)
    }

    private let rules: SafetyRules
    private let entriesMaximum: Int
    private var inodes: [FileHandle: Inode] = [:]
    /// Inodes in the order of their first entry, for making room; some have gone since.
    private var order: [FileHandle] = []
    private var orderStart = 0
    public private(set) var entryCount = 0
    /// Counts what ends grants.
    private var time: UInt64 = 0
    /// When something was last ended; what is not in it, no later than `allEnded`.
    private var ended: [Ended: UInt64] = [:]
    private var allEnded: UInt64 = 0
    /// Changes of this node's own that are under way.
    private var changing: [MetadataItem: Int] = [:]

    static let endedMaximum = 4096

    public init(
        rules: SafetyRules = .all, entriesMaximum: Int = Limits.metadataEntriesMaximum
    ) {
        self.rules = rules
        self.entriesMaximum = entriesMaximum
    }

    // MARK: What is shown

    public func attributes(of file: FileHandle) -> FileAttributes? { inodes[file]?.attributes }

    public func lookUp(_ name: NameInDirectory) -> Name? { inodes[name.parent]?.names[name.name] }

    // MARK: Requests

    /// Before a request is sent: what it changes is shown no more, and not taken until it has ended.
    public mutating func begin(_ operation: Operation) -> Request {
        let changed = operation.changedMetadata
        for item in changed {
            changing[item, default: 0] += 1
            remove(item)
        }
        if !changed.isEmpty { time += 1 }
        return Request(time: time, changed: changed)
    }

    /// A request was answered, or has failed for good. Takes what its answer grants.
    public mutating func end(
        _ request: Request, _ operation: Operation, _ result: OperationResult,
        _ grant: MetadataGrant
    ) {
        let taken =
            grant.isEmpty
            ? []
            : granted(operation, result, grant).filter { item, _ in
                mayTake(item, request)
            }
        time += 1
        for item in request.changed {
            changing[item] = changing[item].flatMap { $0 > 1 ? $0 - 1 : nil }
            // Whatever was asked before this had ended may show the state before it.
            note(.item(item))
        }
        for (item, value) in taken { insert(item, value) }
        makeRoom()
    }

    // MARK: What ends grants

    /// The coordinator recalls a file's attributes and a directory's names.
    public mutating func recall(_ file: FileHandle) {
        time += 1
        note(.inode(file))
        if let inode = inodes.removeValue(forKey: file) { entryCount -= inode.entryCount }
    }

    /// What this node itself did to a file makes its attributes old.
    public mutating func dropAttributes(of file: FileHandle) {
        time += 1
        let item = MetadataItem.attributes(file)
        note(.item(item))
        remove(item)
    }

    /// The coordinator is no more: what it granted is over.
    public mutating func removeAll() {
        inodes = [:]
        order = []
        orderStart = 0
        entryCount = 0
        forgetEnds()
    }

    // MARK: Taking

    private enum Value {
        case attributes(FileAttributes)
        case name(Name)
    }

    private func granted(
        _ operation: Operation, _ result: OperationResult, _ grant: MetadataGrant
    ) -> [(MetadataItem, Value)] {
        var found: [(MetadataItem, Value)] = []
        switch result {
        case .entry(let entry):
            if grant.contains(.attributes) {
                found.append((.attributes(entry.handle), .attributes(entry.attributes)))
            }
            if grant.contains(.names), let name = operation.namedEntry {
                found.append((.name(name), .name(.file(entry.handle))))
            }
        case .attributes(let attributes):
            if grant.contains(.attributes), let file = operation.shownFile {
                found.append((.attributes(file), .attributes(attributes)))
            }
        case .failed(.noEntry):
            if grant.contains(.names), case .lookup(let name) = operation {
                found.append((.name(name), .name(.absent)))
            }
        case .directory(let entries, _):
            guard case .readDirectory(let directory, _, _, _) = operation else { break }
            for entry in entries {
                guard let file = entry.file else { continue }
                if grant.contains(.names) {
                    let name = NameInDirectory(parent: directory, name: entry.entry.name)
                    found.append((.name(name), .name(.file(file.handle))))
                }
                if entry.isGranted {
                    found.append((.attributes(file.handle), .attributes(file.attributes)))
                }
            }
        default:
            break
        }
        return found
    }

    private func mayTake(_ item: MetadataItem, _ request: Request) -> Bool {
        guard rules.contains(.orderOfGrantAndRecall) else { return true }
        let own = request.changed.contains(item) ? 1 : 0
        return request.time >= allEnded && (ended[.inode(item.file)] ?? 0) <= request.time
            && (ended[.item(item)] ?? 0) <= request.time && changing[item] ?? 0 == own
    }

    private mutating func insert(_ item: MetadataItem, _ value: Value) {
        let file = item.file
        if inodes[file] == nil {
            inodes[file] = Inode()
            order.append(file)
        }
        let before = inodes[file]?.entryCount ?? 0
        switch (item, value) {
        case (.attributes, .attributes(let attributes)): inodes[file]?.attributes = attributes
        case (.name(let name), .name(let found)): inodes[file]?.names[name.name] = found
        default: preconditionFailure("a name has no attributes, and an inode no name")
        }
        entryCount += (inodes[file]?.entryCount ?? 0) - before
    }

    private mutating func remove(_ item: MetadataItem) {
        let file = item.file
        guard let before = inodes[file]?.entryCount else { return }
        switch item {
        case .attributes: inodes[file]?.attributes = nil
        case .name(let name): inodes[file]?.names[name.name] = nil
        }
        let after = inodes[file]?.entryCount ?? 0
        entryCount -= before - after
        if after == 0 { inodes[file] = nil }
    }

    // MARK: Bounds

    private mutating func note(_ what: Ended) {
        if ended.count >= Self.endedMaximum { forgetEnds() }
        ended[what] = time
    }

    /// Without the list of what ended when, everything counts as ended just now.
    private mutating func forgetEnds() {
        time += 1
        allEnded = time
        ended = [:]
    }

    /// Gives up the inodes that were taken first. The coordinator is not told: a recall of what is not
    /// there is answered like any other.
    private mutating func makeRoom() {
        while entryCount > entriesMaximum, orderStart < order.count {
            let file = order[orderStart]
            orderStart += 1
            if let inode = inodes.removeValue(forKey: file) { entryCount -= inode.entryCount }
        }
        // Those that have gone, or come again, stand in it more than once.
        guard orderStart > order.count / 2 || order.count > 2 * entriesMaximum else { return }
        var seen: Set<FileHandle> = []
        order = order[orderStart...].filter { inodes[$0] != nil && seen.insert($0).inserted }
        orderStart = 0
    }
}

extension Operation {
    /// The name whose file an answer's entry is.
    fileprivate var namedEntry: NameInDirectory? {
        switch self {
        case .lookup(let name), .create(let name, _, _, _, _), .makeNode(let name, _, _, _, _),
            .makeDirectory(let name, _, _), .makeSymbolicLink(let name, _, _), .link(_, let name):
            name
        default: nil
        }
    }

    /// The file whose attributes an answer tells.
    fileprivate var shownFile: FileHandle? {
        switch self {
        case .attributes(let file), .setAttributes(let file, _): file
        default: nil
        }
    }
}
