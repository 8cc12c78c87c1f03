import VolumeModel
import VolumeProtocol

/// What the volume keeps of the last request on one of a node's slots (rule once): written before a
/// change as an intent, and after it as an outcome. Both are in the file system's own journal, in
/// that order with the change, so that whoever mounts the volume next finds an outcome, or an intent
/// that it can compare with what is there.
public struct OnceRecord: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case intended(OnceIntent)
        case ended(OnceOutcome)
    }

    public var incarnation: Incarnation
    public var sequence: UInt64
    public var state: State

    public init(incarnation: Incarnation, sequence: UInt64, state: State) {
        self.incarnation = incarnation
        self.sequence = sequence
        self.state = state
    }
}

/// What is there before a change, as far as it tells afterwards whether the change was made. An
/// operation that may be done again, as long as nothing that conflicts came between, has none: it
/// holds its claims until its outcome is recorded, so nothing can.
public enum OnceIntent: Hashable, Sendable {
    /// The name stands for nothing. `open` is that of a file which is made and opened.
    case makesName(NameInDirectory, open: OpenID?)
    /// A new file without a name, about to be put in the private directory.
    case makesHidden(FileHandle, open: OpenID)
    /// The name stands for nothing; it is to stand for the file.
    case links(FileHandle, NameInDirectory)
    /// The name stands for the file, and will not any more: unlink, rmdir, rename, exchange.
    case takesName(NameInDirectory, FileHandle)
    /// The file is `fromBytes` long, and a payload goes to its end.
    case appends(FileHandle, fromBytes: UInt64)
    /// A range is taken out of the file, or put into it.
    case shifts(FileHandle, fromBytes: UInt64, toBytes: UInt64)
    /// The file has no such attribute.
    case addsAttribute(FileHandle, name: [UInt8])
    /// The file has the attribute.
    case removesAttribute(FileHandle, name: [UInt8])
}

/// How an operation ended: as much as its answer needs.
public enum OnceOutcome: Hashable, Sendable {
    case done
    /// Found or made; with the open that was asked for.
    case entry(FileHandle, open: OpenID?)
    /// The file's attributes, as they are when they are asked for again.
    case attributes(FileHandle)
    case written(offsetBytes: UInt64, lengthBytes: UInt32, sizeBytes: UInt64)
    case copied(UInt64)
    case failed(ErrorCode)
}
