/// What is wrong with bytes that should be a frame.
enum FrameError: Error, Equatable, CustomStringConvertible {
    case badMagic(UInt32)
    case unsupportedVersion(UInt8)
    case unknownKind(UInt8)
    case unknownFlags(UInt16)
    case bodyTooLarge(kind: UInt8, bytes: UInt32)
    case payloadTooLarge(kind: UInt8, bytes: UInt32)

    var description: String {
        switch self {
        case .badMagic(let value):
            "a frame begins with 0x\(String(value, radix: 16)): the peer does not speak our protocol"
        case .unsupportedVersion(let version):
            "a frame of version \(version), this side speaks \(FrameHeader.version): run the same "
                + "release on all nodes"
        case .unknownKind(let kind): "a frame of the unknown kind \(kind)"
        case .unknownFlags(let flags): "a frame with unknown flags 0x\(String(flags, radix: 16))"
        case .bodyTooLarge(let kind, let bytes):
            "a frame of kind \(kind) with a body of \(bytes) bytes, over its limit"
        case .payloadTooLarge(let kind, let bytes):
            "a frame of kind \(kind) with a payload of \(bytes) bytes, over its limit"
        }
    }
}
