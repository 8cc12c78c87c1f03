import VolumeModel
import VolumeProtocol

/// One request in execution; drawn by the core.
public struct TaskID: Hashable, Sendable, Comparable {
    public let number: UInt64

    public static func < (left: TaskID, right: TaskID) -> Bool { left.number < right.number }
}

/// One recall or collection under way; drawn by the core.
public struct RecallID: Hashable, Sendable {
    public let number: UInt64
}

/// What happens to a coordinator.
public enum CoordinatorEvent: Sendable {
    /// The first event of an epoch, once: what the volume says of the epoch before. Until every node
    /// that was attached has told what it holds, or is proven to be gone, only such telling is served
    /// (DESIGN section 4, grace). A core that is never told has no grace.
    case started(
        attached: [String], hidden: [FileHandle], grown: [GrownFile], outcomes: [SlotOutcome])
    /// A session may be opened again by the same incarnation: it keeps everything, and is asked again
    /// for what it owes.
    case sessionOpened(NodeIdentity)
    /// Everything of this session has been given back, or is proven to be over.
    case sessionEnded(NodeIdentity)
    /// No incarnation of this node so far can write to the LUN any more (rule fence-before-forget).
    case nodeForgotten(String)
    /// `slot` is ``VolumeProtocol/Operation/noSlot`` for an operation without one.
    case request(
        NodeIdentity, sequence: UInt64, slot: UInt16, Operation, payloadBytes: Int)
    /// A command has ended, and what it changed is durable.
    case executed(TaskID, CommandResult)
    /// A node has returned what was recalled, or told what it wrote.
    case answered(RecallID, WriteReport)
    /// A planned move begins: no new request is taken, and waits without end are ended.
    case draining
}

/// A file that had been lengthened for some node's growth when the last coordinator ended.
public struct GrownFile: Hashable, Sendable {
    public var file: FileHandle
    /// The size that everybody but the growth's holder had been shown.
    public var visibleSizeBytes: UInt64
    /// The name of the growth's holder, who alone may reclaim it; nil: it is not known.
    public var holder: String?

    public init(file: FileHandle, visibleSizeBytes: UInt64, holder: String? = nil) {
        self.file = file
        self.visibleSizeBytes = visibleSizeBytes
        self.holder = holder
    }
}

/// What a coordinator's shell has to do.
public enum CoordinatorAction: Hashable, Sendable {
    case execute(TaskID, Command)
    /// The grant says what of the answer its node may keep (rule recall-before-change).
    case reply(NodeIdentity, sequence: UInt64, OperationResult, MetadataGrant)
    /// Nothing of this request was done: the node asks again, here or of the next coordinator.
    case refuse(NodeIdentity, sequence: UInt64, Refusal)
    case recall(RecallID, NodeIdentity, FileHandle, ByteRange, LayoutGeneration)
    case collectWrites(RecallID, NodeIdentity, FileHandle)
    /// Attributes and names that were granted; answered with an empty report.
    case recallMetadata(RecallID, NodeIdentity, FileHandle)
}

/// One step on the host file system. Commands of one task run one after another.
public enum Command: Hashable, Sendable {
    /// As the operation says. Payloads are the shell's.
    case perform(Operation)
    /// Finds names; a missing one is nil.
    case resolve([NameInDirectory])
    /// Moves a name into the private directory (rule of section 4: removing a file in use).
    case hide(NameInDirectory, FileHandle)
    /// Renames over a file in use, whose last name goes to the private directory.
    case renameHiding(NameInDirectory, to: NameInDirectory, victim: FileHandle)
    /// Removes a hidden file for good.
    case removeHidden(FileHandle)
    /// Cleans the range and reads its map.
    case map(FileHandle, ByteRange)
    /// Lengthens a file to the end of the range, with written zeros from `zerosFrom` (or its old end, if
    /// that comes later) on, and reads the map of the range.
    case grow(FileHandle, ByteRange, zerosFrom: UInt64)
    /// Zeroes what of the range, within the file's size, is a hole or unwritten, and reads its map; where
    /// room is short nothing is zeroed. `follows`: it goes on where the last fill for this session ended.
    case fill(FileHandle, ByteRange, follows: Bool)
    /// Applies what a node reported: cuts the file to the size reached, takes back what was filled in
    /// vain, and moves its times.
    case settle(FileHandle, WriteReport)
    case stat(FileHandle)
}

/// How a command ended.
public enum CommandResult: Hashable, Sendable {
    /// With the file's size on the LUN after it, where the command has one file and knows it.
    case performed(OperationResult, sizeBytes: UInt64?)
    case resolved([FileEntry?])
    /// `range` is covered by `extents`; `sizeBytes` is the file's size on the LUN.
    case mapped(range: ByteRange, extents: [Extent], sizeBytes: UInt64)
    /// The same, and what was zeroed for it.
    case filled(range: ByteRange, extents: [Extent], sizeBytes: UInt64, zeroed: [ByteRange])
    case attributes(FileAttributes)
    case done
    case failed(ErrorCode)
}
