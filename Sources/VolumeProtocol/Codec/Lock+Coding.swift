import VolumeModel

extension LockRequest: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(file)
        writer.append(open)
        writer.append(owner)
        writer.append(number: kind)
        writer.append(number: type)
        writer.append(startBytes)
        writer.append(lastBytes)
        writer.append(processID)
        writer.append(waits)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            file: try reader.value(), open: try reader.value(), owner: try reader.uint64(),
            kind: try reader.number("lock kind"), type: try reader.number("lock type"),
            startBytes: try reader.fileOffset(), lastBytes: try reader.fileOffset(),
            processID: try reader.uint32(), waits: try reader.bool())
        guard startBytes <= lastBytes else { throw .invalid("lock: empty range") }
    }
}

extension LockConflict: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(number: type)
        writer.append(startBytes)
        writer.append(lastBytes)
        writer.append(processID)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            type: try reader.number("lock type"), startBytes: try reader.fileOffset(),
            lastBytes: try reader.fileOffset(), processID: try reader.uint32())
        guard type != .unlock, startBytes <= lastBytes else { throw .invalid("lock conflict") }
    }
}
