import VolumeModel

extension Timestamp: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(seconds)
        writer.append(nanoseconds)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(seconds: try reader.int64(), nanoseconds: try reader.uint32())
        guard nanoseconds < 1_000_000_000 else { throw .invalid("timestamp's nanoseconds") }
    }
}

extension TimeChange: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .now: writer.append(number: TimeChangeNumber.now)
        case .to(let time):
            writer.append(number: TimeChangeNumber.to)
            writer.append(time)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("time change", as: TimeChangeNumber.self) {
        case .now: self = .now
        case .to: self = .to(try reader.value())
        }
    }
}

extension FileAttributes: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(inode)
        writer.append(sizeBytes)
        writer.append(blocks512)
        writer.append(accessTime)
        writer.append(modificationTime)
        writer.append(changeTime)
        writer.append(mode)
        writer.append(linkCount)
        writer.append(userID)
        writer.append(groupID)
        writer.append(deviceMajor)
        writer.append(deviceMinor)
        writer.append(blockSizeBytes)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            inode: try reader.uint64(), sizeBytes: try reader.fileOffset(),
            blocks512: try reader.uint64(), accessTime: try reader.value(),
            modificationTime: try reader.value(), changeTime: try reader.value(),
            mode: try reader.uint32(), linkCount: try reader.uint32(),
            userID: try reader.uint32(), groupID: try reader.uint32(),
            deviceMajor: try reader.uint32(), deviceMinor: try reader.uint32(),
            blockSizeBytes: try reader.uint32())
    }
}

extension AttributeChange: WireCodable {
    private typealias Bits = AttributeChangeBits

    public func encode(into writer: inout ByteWriter) {
        var bits: UInt8 = 0
        if mode != nil { bits |= Bits.mode }
        if userID != nil { bits |= Bits.userID }
        if groupID != nil { bits |= Bits.groupID }
        if sizeBytes != nil { bits |= Bits.sizeBytes }
        if accessTime != nil { bits |= Bits.accessTime }
        if modificationTime != nil { bits |= Bits.modificationTime }
        if clearsSetID { bits |= Bits.clearsSetID }
        writer.append(bits)
        if let mode { writer.append(mode) }
        if let userID { writer.append(userID) }
        if let groupID { writer.append(groupID) }
        if let sizeBytes { writer.append(sizeBytes) }
        if let accessTime { writer.append(accessTime) }
        if let modificationTime { writer.append(modificationTime) }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init()
        let bits = try reader.uint8()
        guard bits & ~Bits.all == 0 else {
            throw .unknown("attribute change", number: UInt64(bits))
        }
        if bits & Bits.mode != 0 { mode = try reader.uint32() }
        if bits & Bits.userID != 0 { userID = try reader.uint32() }
        if bits & Bits.groupID != 0 { groupID = try reader.uint32() }
        if bits & Bits.sizeBytes != 0 { sizeBytes = try reader.fileOffset() }
        if bits & Bits.accessTime != 0 { accessTime = try reader.value() }
        if bits & Bits.modificationTime != 0 { modificationTime = try reader.value() }
        clearsSetID = bits & Bits.clearsSetID != 0
    }
}

extension FileSystemStatistics: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(blocks)
        writer.append(blocksFree)
        writer.append(blocksAvailable)
        writer.append(files)
        writer.append(filesFree)
        writer.append(blockSizeBytes)
        writer.append(nameLengthMaximum)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            blocks: try reader.uint64(), blocksFree: try reader.uint64(),
            blocksAvailable: try reader.uint64(), files: try reader.uint64(),
            filesFree: try reader.uint64(), blockSizeBytes: try reader.uint32(),
            nameLengthMaximum: try reader.uint32())
    }
}
