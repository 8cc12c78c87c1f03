import VolumeModel

extension NodeMessage: WireMessage {
    private typealias Number = NodeMessageNumber

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .openSession(let header, let firstSequence):
            writer.append(number: Number.openSession)
            writer.append(header)
            writer.append(firstSequence)
        case .request(let header, let sequence, let slot, let operation):
            writer.append(number: Number.request)
            writer.append(header)
            writer.append(sequence)
            writer.append(slot)
            writer.append(operation)
        case .closeSession(let header):
            writer.append(number: Number.closeSession)
            writer.append(header)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("node message", as: Number.self) {
        case .openSession:
            self = .openSession(try reader.value(), firstSequence: try reader.uint64())
        case .request:
            self = .request(
                try reader.value(), sequence: try reader.uint64(), slot: try reader.slot(),
                try reader.value())
        case .closeSession: self = .closeSession(try reader.value())
        }
    }
}

extension CoordinatorReply: WireMessage {
    private typealias Number = CoordinatorReplyNumber

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .sessionOpened(let root):
            writer.append(number: Number.sessionOpened)
            writer.append(root)
        case .result(let sequence, let result, let grant):
            writer.append(number: Number.result)
            writer.append(sequence)
            writer.append(grant)
            writer.append(result)
        case .sessionClosed: writer.append(number: Number.sessionClosed)
        case .refused(let refusal):
            writer.append(number: Number.refused)
            writer.append(number: refusal)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("coordinator reply", as: Number.self) {
        case .sessionOpened: self = .sessionOpened(root: try reader.value())
        case .result:
            let sequence = try reader.uint64()
            let grant = try reader.value(MetadataGrant.self)
            self = .result(sequence: sequence, try reader.value(), grant)
        case .sessionClosed: self = .sessionClosed
        case .refused: self = .refused(try reader.number("refusal"))
        }
    }
}

extension CoordinatorMessage: WireMessage {
    private typealias Number = CoordinatorMessageNumber

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .recall(let header, let file, let range, let generation):
            writer.append(number: Number.recall)
            writer.append(header)
            writer.append(file)
            writer.append(range)
            writer.append(generation.number)
        case .collectWrites(let header, let file):
            writer.append(number: Number.collectWrites)
            writer.append(header)
            writer.append(file)
        case .recallMetadata(let header, let file):
            writer.append(number: Number.recallMetadata)
            writer.append(header)
            writer.append(file)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("coordinator message", as: Number.self) {
        case .recall:
            self = .recall(
                try reader.value(), try reader.value(), try reader.value(),
                LayoutGeneration(try reader.uint64()))
        case .collectWrites: self = .collectWrites(try reader.value(), try reader.value())
        case .recallMetadata: self = .recallMetadata(try reader.value(), try reader.value())
        }
    }
}

extension MetadataGrant: WireCodable {
    public func encode(into writer: inout ByteWriter) { writer.append(rawValue) }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(rawValue: try reader.uint8())
        guard isSubset(of: .all) else {
            throw .unknown("metadata grant", number: UInt64(rawValue))
        }
    }
}

extension NodeReply: WireMessage {
    private typealias Number = NodeReplyNumber

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .returned(let report):
            writer.append(number: Number.returned)
            writer.append(report)
        case .collected(let report):
            writer.append(number: Number.collected)
            writer.append(report)
        case .refused(let refusal):
            writer.append(number: Number.refused)
            writer.append(number: refusal)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("node reply", as: Number.self) {
        case .returned: self = .returned(try reader.value())
        case .collected: self = .collected(try reader.value())
        case .refused: self = .refused(try reader.number("refusal"))
        }
    }
}

extension ByteReader {
    fileprivate mutating func slot() throws(DecodingFailure) -> UInt16 {
        let slot = try uint16()
        guard slot == Operation.noSlot || Int(slot) < Limits.slotsPerSession else {
            throw .unknown("slot", number: UInt64(slot))
        }
        return slot
    }
}
