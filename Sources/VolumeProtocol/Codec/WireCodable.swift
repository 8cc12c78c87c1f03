import VolumeModel

/// A value that has its place in a message. Decoding accepts exactly the bytes that encoding makes.
public protocol WireCodable: Sendable {
    func encode(into writer: inout ByteWriter)
    init(decoding reader: inout ByteReader) throws(DecodingFailure)
}

/// A whole message: one byte with the protocol's version, then the value, and nothing behind it.
/// Bytes that a read or a write moves travel beside the message, not in it.
public protocol WireMessage: WireCodable {}

public enum WireFormat {
    /// Goes up when the bytes of any message change.
    public static let version: UInt8 = 4
}

extension WireMessage {
    /// The message's bytes. A value beyond its type's limits is encoded as it is, and refused by
    /// whoever decodes it: names from user space are checked before.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingBytes: 256)
        writer.append(WireFormat.version)
        encode(into: &writer)
        return writer.bytes
    }

    public init(encoded bytes: [UInt8]) throws(DecodingFailure) {
        guard bytes.count <= Limits.messageMaximumBytes else {
            throw .tooLong("message", length: bytes.count, maximum: Limits.messageMaximumBytes)
        }
        var reader = ByteReader(bytes)
        let version = try reader.uint8()
        guard version == WireFormat.version else { throw .version(version) }
        try self.init(decoding: &reader)
        guard reader.remainingCount == 0 else { throw .trailing(count: reader.remainingCount) }
    }
}
