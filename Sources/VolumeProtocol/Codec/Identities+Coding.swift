import VolumeModel

extension VolumeID: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(high)
        writer.append(low)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(high: try reader.uint64(), low: try reader.uint64())
    }
}

extension MessageHeader: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(volume)
        writer.append(epoch.number)
        writer.append(incarnation.number)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            volume: try reader.value(), epoch: Epoch(try reader.uint64()),
            incarnation: Incarnation(try reader.uint64()))
    }
}

extension FileHandle: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(kind)
        writer.append(length)
        for byte in bytes { writer.append(byte) }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let kind = try reader.int32()
        let count = Int(try reader.uint8())
        let bytes = try reader.take(count, "file handle", maximum: Self.maximumLength)
        guard let handle = FileHandle(kind: kind, bytes: bytes) else {
            throw .invalid("file handle: empty")
        }
        self = handle
    }
}

extension OpenID: WireCodable {
    public func encode(into writer: inout ByteWriter) { writer.append(number) }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(try reader.uint64())
    }
}

extension NameInDirectory: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(parent)
        writer.append(name: name)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(parent: try reader.value(), name: try reader.fileName())
    }
}

extension Creator: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(userID)
        writer.append(groupID)
        writer.append(umask)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            userID: try reader.uint32(), groupID: try reader.uint32(), umask: try reader.uint32())
    }
}
