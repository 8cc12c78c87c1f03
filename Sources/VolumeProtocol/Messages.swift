import VolumeModel

/// A volume's own number, drawn when it is added to the cluster: 128 random bits.
public struct VolumeID: Hashable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 32 hexadecimal digits.
    public init?(_ text: String) {
        guard text.utf8.count == 32,
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    public var description: String {
        func digits(_ word: UInt64) -> String {
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(high) + digits(low)
    }
}

/// What every message between a node and a coordinator carries (rule epoch-in-every-message).
public struct MessageHeader: Hashable, Sendable {
    public var volume: VolumeID
    public var epoch: Epoch
    /// The incarnation of the node whose session this is.
    public var incarnation: Incarnation

    public init(volume: VolumeID, epoch: Epoch, incarnation: Incarnation) {
        self.volume = volume
        self.epoch = epoch
        self.incarnation = incarnation
    }
}

/// A node to a coordinator.
public enum NodeMessage: Hashable, Sendable {
    /// Opens the session of this node's incarnation with this epoch's coordinator.
    /// Requests of this session with smaller numbers than `firstSequence` were a process's before, which
    /// has ended: what is left of them on the way is not to be done any more.
    case openSession(MessageHeader, firstSequence: UInt64)
    /// `sequence` numbers an incarnation's requests on a volume from 1, over all epochs; a repeated
    /// request keeps its number. An operation with ``Operation/needsSlot`` has one of the session's
    /// slots, which carries one request at a time: the next one on it says that the answer to the
    /// last has come. All others carry ``Operation/noSlot``.
    case request(MessageHeader, sequence: UInt64, slot: UInt16, Operation)
    /// The end of a session: everything has been given back.
    case closeSession(MessageHeader)
}

/// A coordinator's answer to a ``NodeMessage``.
public enum CoordinatorReply: Hashable, Sendable {
    case sessionOpened(root: FileEntry)
    case result(sequence: UInt64, OperationResult, MetadataGrant)
    case sessionClosed
    case refused(Refusal)
}

/// Why a message was not taken at all: nothing of it was done, or will show.
public enum Refusal: UInt8, Error, Hashable, Sendable {
    case notCoordinator = 0
    case oldEpoch = 1
    case newerEpoch = 2
    case oldIncarnation = 3
    case noSession = 4
    case tooManyRequests = 5
    case unknownVolume = 6
    case malformed = 7
}

/// A coordinator to a node.
public enum CoordinatorMessage: Hashable, Sendable {
    /// Gives back the layouts of a file over a range, and its growth where the range reaches beyond
    /// the end of the file.
    case recall(MessageHeader, FileHandle, ByteRange, LayoutGeneration)
    /// Tells what was written directly since the last report.
    case collectWrites(MessageHeader, FileHandle)
    /// Drops what was granted of a file's attributes and, of a directory, of its names.
    case recallMetadata(MessageHeader, FileHandle)
}

/// A node's answer to a ``CoordinatorMessage``.
public enum NodeReply: Hashable, Sendable {
    /// No new direct I/O in the range, and all that was in flight has ended. Of metadata: nothing of
    /// them is shown any more without asking.
    case returned(WriteReport)
    case collected(WriteReport)
    case refused(Refusal)
}
