/// Why bytes are not a message. Whoever sent them is broken or hostile: the connection is closed.
public enum DecodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end within a value that starts at `offset`.
    case truncated(offset: Int)
    /// Bytes follow the message's end.
    case trailing(count: Int)
    /// Another version of the protocol than ``WireFormat/version``.
    case version(UInt8)
    case tooLong(String, length: Int, maximum: Int)
    /// A case's number that this version does not know.
    case unknown(String, number: UInt64)
    /// A value that breaks a rule of its type.
    case invalid(String)

    public var description: String {
        switch self {
        case .truncated(let offset): "the message ends within the value at byte \(offset)"
        case .trailing(let count): "\(count) bytes follow the message"
        case .version(let number):
            "protocol version \(number), this daemon speaks \(WireFormat.version)"
        case .tooLong(let what, let length, let maximum):
            "\(what) of \(length), the limit is \(maximum)"
        case .unknown(let what, let number): "unknown \(what) \(number)"
        case .invalid(let what): "invalid \(what)"
        }
    }
}
