import VolumeModel

extension ByteRange: WireCodable {
    /// What a range takes in a message.
    static let encodedBytes = 16

    public func encode(into writer: inout ByteWriter) {
        writer.append(startBytes)
        writer.append(endBytes)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let start = try reader.uint64()
        let end = try reader.uint64()
        guard start <= end else { throw .invalid("range: ends before it starts") }
        self.init(start: start, end: end)
    }
}

extension Extent: WireCodable {
    /// What an extent takes in a message.
    static let encodedBytes = 25

    public func encode(into writer: inout ByteWriter) {
        writer.append(fileOffsetBytes)
        writer.append(lunOffsetBytes)
        writer.append(lengthBytes)
        writer.append(number: state)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            fileOffsetBytes: try reader.uint64(), lunOffsetBytes: try reader.uint64(),
            lengthBytes: try reader.uint64(), state: try reader.number("extent state"))
    }
}

extension LayoutEnd: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .unknown: writer.append(number: LayoutEndNumber.unknown)
        case .at(let sizeBytes):
            writer.append(number: LayoutEndNumber.at)
            writer.append(sizeBytes)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("layout end", as: LayoutEndNumber.self) {
        case .unknown: self = .unknown
        case .at: self = .at(sizeBytes: try reader.fileOffset())
        }
    }
}

extension LayoutGrant: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.reserve(64 + extents.count * Extent.encodedBytes)
        writer.append(generation.number)
        writer.append(range)
        writer.append(list: extents)
        writer.append(end)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            generation: LayoutGeneration(try reader.uint64()), range: try reader.value(),
            extents: try reader.list(
                "extents", maximum: Limits.extentsPerGrantMaximum,
                elementBytes: Extent.encodedBytes),
            end: try reader.value())
        // What a node inserts in its sector map, and writes by, is checked here, once.
        guard SectorMap.isValid(range: range, extents: extents) else {
            throw .invalid("layout: its extents do not cover its range in whole blocks")
        }
    }
}

extension WriteReport: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        var bits: UInt8 = 0
        if ageNanoseconds != nil { bits |= WriteReportBits.age }
        if grownSizeBytes != nil { bits |= WriteReportBits.grownSize }
        if unusedFill != nil { bits |= WriteReportBits.unusedFill }
        writer.append(bits)
        if let ageNanoseconds { writer.append(ageNanoseconds) }
        if let grownSizeBytes { writer.append(grownSizeBytes) }
        if let unusedFill {
            writer.append(unusedFill.range)
            writer.append(unusedFill.generation.number)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init()
        let bits = try reader.uint8()
        guard bits & ~WriteReportBits.all == 0 else {
            throw .unknown("write report", number: UInt64(bits))
        }
        if bits & WriteReportBits.age != 0 { ageNanoseconds = try reader.uint64() }
        if bits & WriteReportBits.grownSize != 0 { grownSizeBytes = try reader.fileOffset() }
        if bits & WriteReportBits.unusedFill != 0 {
            unusedFill = UnusedFill(
                range: try reader.fileRange(),
                generation: LayoutGeneration(try reader.uint64()))
        }
    }
}

extension GrowthClaim: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(visibleSizeBytes)
        writer.append(allocatedEndBytes)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(
            visibleSizeBytes: try reader.fileOffset(), allocatedEndBytes: try reader.fileOffset())
        guard visibleSizeBytes <= allocatedEndBytes else {
            throw .invalid("growth: it ends before the file does")
        }
    }
}
