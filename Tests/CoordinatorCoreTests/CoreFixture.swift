import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// A coordinator's state machine with two or three nodes, driven one event at a time.
final class CoreFixture {
    static let node1 = NodeIdentity(name: "node1", incarnation: Incarnation(1))
    static let node2 = NodeIdentity(name: "node2", incarnation: Incarnation(2))
    static let node3 = NodeIdentity(name: "node3", incarnation: Incarnation(3))
    static let block = Limits.blockSizeBytes
    static let root = file(0)

    var core: CoordinatorCore
    private var lastSequence: UInt64 = 0
    private var lastOpen: UInt64 = 0

    init(rules: SafetyRules = .all, started: CoordinatorEvent? = nil) {
        core = CoordinatorCore(rules: rules)
        if let started {
            send(started)
            return
        }
        for node in [Self.node1, Self.node2, Self.node3] { send(.sessionOpened(node)) }
    }

    static func file(_ number: UInt8) -> FileHandle {
        guard let handle = FileHandle(kind: 1, bytes: [number]) else {
            preconditionFailure("one byte makes a handle")
        }
        return handle
    }

    static func name(_ text: String) -> NameInDirectory {
        NameInDirectory(parent: root, name: Array(text.utf8))
    }

    static func attributes(
        _ file: FileHandle, size: UInt64 = 0, kind: FileKind = .regular, links: UInt32 = 1
    ) -> FileAttributes {
        let time = Timestamp(seconds: 0, nanoseconds: 0)
        return FileAttributes(
            inode: UInt64(file.bytes[0]), sizeBytes: size, blocks512: 0, accessTime: time,
            modificationTime: time, changeTime: time, mode: kind.rawValue | 0o644,
            linkCount: links, userID: 0, groupID: 0, deviceMajor: 0, deviceMinor: 0,
            blockSizeBytes: 4096)
    }

    static func entry(
        _ file: FileHandle, size: UInt64 = 0, kind: FileKind = .regular, links: UInt32 = 1
    ) -> FileEntry {
        FileEntry(handle: file, attributes: attributes(file, size: size, kind: kind, links: links))
    }

    static func blocks(_ range: Range<UInt64>) -> ByteRange {
        ByteRange(start: range.lowerBound * block, end: range.upperBound * block)
    }

    /// A map of one written extent.
    static func mapped(_ range: Range<UInt64>, size: UInt64) -> CommandResult {
        let range = blocks(range)
        let extent = Extent(
            fileOffsetBytes: range.startBytes, lunOffsetBytes: (1 << 30) + range.startBytes,
            lengthBytes: range.lengthBytes, state: .written)
        return .mapped(range: range, extents: [extent], sizeBytes: size)
    }

    @discardableResult
    func send(_ event: CoordinatorEvent) -> [CoordinatorAction] {
        var actions: [CoordinatorAction] = []
        core.handle(event, into: &actions)
        return actions
    }

    @discardableResult
    func request(
        _ node: NodeIdentity, _ operation: Operation, payload: Int = 0
    ) -> [CoordinatorAction] {
        lastSequence += 1
        return request(node, lastSequence, operation, payload: payload)
    }

    /// With a number of its own, and a slot.
    @discardableResult
    func request(
        _ node: NodeIdentity, _ sequence: UInt64, slot: UInt16 = Operation.noSlot,
        _ operation: Operation, payload: Int = 0
    ) -> [CoordinatorAction] {
        lastSequence = max(lastSequence, sequence)
        return send(
            .request(
                node, sequence: sequence, slot: slot, operation, payloadBytes: payload))
    }

    /// Ends the only command among `actions`.
    @discardableResult
    func end(
        _ actions: [CoordinatorAction], _ result: CommandResult
    ) throws -> [CoordinatorAction] {
        let tasks = actions.compactMap { action -> TaskID? in
            if case .execute(let task, _) = action { task } else { nil }
        }
        try #require(tasks.count == 1, "\(actions)")
        return send(.executed(tasks[0], result))
    }

    /// Answers every recall and collection among `actions`.
    func answer(
        _ actions: [CoordinatorAction], _ report: WriteReport = WriteReport()
    ) -> [CoordinatorAction] {
        var next: [CoordinatorAction] = []
        for action in actions {
            switch action {
            case .recall(let id, _, _, _, _), .collectWrites(let id, _, _),
                .recallMetadata(let id, _, _):
                next += send(.answered(id, report))
            default: break
            }
        }
        return next
    }

    @discardableResult
    func open(
        _ node: NodeIdentity, _ file: FileHandle, size: UInt64 = 0
    ) throws -> OpenID {
        lastOpen += 1
        let open = OpenID(lastOpen)
        let actions = request(node, .open(file, open))
        try #require(
            try end(actions, .performed(.done, sizeBytes: size)).replies == [.done])
        return open
    }

    /// Opens and maps the whole of a file of so many blocks.
    @discardableResult
    func map(
        _ node: NodeIdentity, _ file: FileHandle, blocks: UInt64
    ) throws -> LayoutGrant {
        try open(node, file, size: blocks * Self.block)
        let actions = request(node, .layoutGet(file, .everything))
        let replies = try end(actions, Self.mapped(0..<blocks, size: blocks * Self.block)).replies
        guard case .layout(let grant)? = replies.first else {
            throw FixtureError(description: "no layout: \(replies)")
        }
        return grant
    }

    /// Opens a file of so many blocks and gives the node its growth by so many more.
    @discardableResult
    func grow(
        _ node: NodeIdentity, _ file: FileHandle, blocks: UInt64, by more: UInt64
    ) throws -> LayoutGrant {
        try open(node, file, size: blocks * Self.block)
        let range = Self.blocks(blocks..<(blocks + more))
        let actions = request(node, .layoutGrow(file, range))
        try #require(actions.commands == [.grow(file, range, zerosFrom: range.startBytes)])
        let size = (blocks + more) * Self.block
        let replies = try end(actions, Self.mapped(blocks..<(blocks + more), size: size)).replies
        guard case .growth(let grant)? = replies.first else {
            throw FixtureError(description: "no growth: \(replies)")
        }
        return grant
    }
}

struct FixtureError: Error, CustomStringConvertible {
    var description: String
}

extension [CoordinatorAction] {
    var commands: [Command] {
        compactMap { if case .execute(_, let command) = $0 { command } else { nil } }
    }

    var replies: [OperationResult] {
        compactMap { if case .reply(_, _, let result, _) = $0 { result } else { nil } }
    }

    var grants: [MetadataGrant] {
        compactMap { if case .reply(_, _, _, let grant) = $0 { grant } else { nil } }
    }

    /// Whose metadata are recalled, and of which file.
    var metadataRecalls: [String] {
        compactMap { action in
            if case .recallMetadata(_, let node, let file) = action {
                "\(node.name) \(file.bytes[0])"
            } else {
                nil
            }
        }
    }

    var refusals: [Refusal] {
        compactMap { if case .refuse(_, _, let refusal) = $0 { refusal } else { nil } }
    }

    /// Whose layouts are recalled, and over what.
    var recalls: [String] {
        compactMap { action in
            if case .recall(_, let node, _, let range, _) = action {
                "\(node.name) \(range)"
            } else {
                nil
            }
        }
    }

    var collections: [String] {
        compactMap { action in
            if case .collectWrites(_, let node, _) = action { node.name } else { nil }
        }
    }
}
