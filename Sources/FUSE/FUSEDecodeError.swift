import VolumeModel

/// What is wrong with a request that the kernel sent.
public enum FUSEDecodeError: Error, Hashable, Sendable, CustomStringConvertible {
    case truncated(neededBytes: Int, presentBytes: Int)
    /// The header's length is not that of what was read.
    case wrongLength(saidBytes: Int, presentBytes: Int)
    case unterminatedName
    case badName
    case nameTooLong(lengthBytes: Int)
    case badCount(count: UInt64, presentBytes: Int)
    case tooLarge(sizeBytes: UInt64)
    case badValue(UInt64)
    /// Not allowed here, such as a second INIT.
    case unexpected(opcode: UInt32)

    /// What the caller gets.
    public var reply: ErrorCode {
        switch self {
        case .nameTooLong: .nameTooLong
        case .badValue, .tooLarge: .invalid
        default: .inputOutput
        }
    }

    public var description: String {
        switch self {
        case .truncated(let needed, let present):
            "truncated: needs \(needed) bytes, has \(present)"
        case .wrongLength(let said, let present): "says \(said) bytes, has \(present)"
        case .unterminatedName: "a name without its NUL"
        case .badName: "a name that is empty or holds a slash"
        case .nameTooLong(let length): "a name of \(length) bytes"
        case .badCount(let count, let present): "counts \(count) entries in \(present) bytes"
        case .tooLarge(let size): "a size of \(size) bytes"
        case .badValue(let value): "a value of \(value)"
        case .unexpected(let opcode): "opcode \(opcode) does not belong here"
        }
    }
}
