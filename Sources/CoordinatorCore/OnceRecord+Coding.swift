import VolumeModel
import VolumeProtocol

extension OnceRecord {
    /// The first byte of a record; goes up when its bytes change.
    static let version: UInt8 = 1
    /// The longest record in bytes: two handles and a name.
    public static let maximumBytes = 512

    private enum Number: UInt8 {
        case makesName = 1
        case makesHidden = 2
        case links = 3
        case takesName = 4
        case appends = 5
        case shifts = 6
        case addsAttribute = 7
        case removesAttribute = 8
        case done = 16
        case entry = 17
        case attributes = 18
        case written = 19
        case copied = 20
        case failed = 21
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingBytes: 96)
        writer.append(Self.version)
        writer.append(incarnation.number)
        writer.append(sequence)
        switch state {
        case .intended(let intent): Self.encode(intent, into: &writer)
        case .ended(let outcome): Self.encode(outcome, into: &writer)
        }
        return writer.bytes
    }

    private static func encode(_ intent: OnceIntent, into writer: inout ByteWriter) {
        switch intent {
        case .makesName(let name, let open):
            writer.append(number: Number.makesName)
            writer.append(name)
            encode(open, into: &writer)
        case .makesHidden(let file, let open):
            writer.append(number: Number.makesHidden)
            writer.append(file)
            writer.append(open)
        case .links(let file, let name):
            writer.append(number: Number.links)
            writer.append(file)
            writer.append(name)
        case .takesName(let name, let file):
            writer.append(number: Number.takesName)
            writer.append(file)
            writer.append(name)
        case .appends(let file, let from):
            writer.append(number: Number.appends)
            writer.append(file)
            writer.append(from)
        case .shifts(let file, let from, let to):
            writer.append(number: Number.shifts)
            writer.append(file)
            writer.append(from)
            writer.append(to)
        case .addsAttribute(let file, let name):
            writer.append(number: Number.addsAttribute)
            writer.append(file)
            writer.append(name: name)
        case .removesAttribute(let file, let name):
            writer.append(number: Number.removesAttribute)
            writer.append(file)
            writer.append(name: name)
        }
    }

    private static func encode(_ outcome: OnceOutcome, into writer: inout ByteWriter) {
        switch outcome {
        case .done: writer.append(number: Number.done)
        case .entry(let file, let open):
            writer.append(number: Number.entry)
            writer.append(file)
            encode(open, into: &writer)
        case .attributes(let file):
            writer.append(number: Number.attributes)
            writer.append(file)
        case .written(let offset, let length, let size):
            writer.append(number: Number.written)
            writer.append(offset)
            writer.append(length)
            writer.append(size)
        case .copied(let bytes):
            writer.append(number: Number.copied)
            writer.append(bytes)
        case .failed(let error):
            writer.append(number: Number.failed)
            writer.append(error)
        }
    }

    private static func encode(_ open: OpenID?, into writer: inout ByteWriter) {
        writer.append(open != nil)
        if let open { writer.append(open) }
    }

    /// Takes exactly what ``encoded()`` makes.
    public init(encoded bytes: [UInt8]) throws(DecodingFailure) {
        guard bytes.count <= Self.maximumBytes else {
            throw .tooLong("record", length: bytes.count, maximum: Self.maximumBytes)
        }
        var reader = ByteReader(bytes)
        let version = try reader.uint8()
        guard version == Self.version else { throw .version(version) }
        incarnation = Incarnation(try reader.uint64())
        sequence = try reader.uint64()
        state = try Self.state(&reader)
        guard reader.remainingCount == 0 else { throw .trailing(count: reader.remainingCount) }
    }

    private static func state(_ reader: inout ByteReader) throws(DecodingFailure) -> State {
        switch try reader.number("record", as: Number.self) {
        case .makesName:
            return .intended(.makesName(try reader.value(), open: try open(&reader)))
        case .makesHidden:
            return .intended(.makesHidden(try reader.value(), open: try reader.value()))
        case .links:
            return .intended(.links(try reader.value(), try reader.value()))
        case .takesName:
            let file: FileHandle = try reader.value()
            return .intended(.takesName(try reader.value(), file))
        case .appends:
            return .intended(
                .appends(try reader.value(), fromBytes: try reader.fileOffset()))
        case .shifts:
            return .intended(
                .shifts(
                    try reader.value(), fromBytes: try reader.fileOffset(),
                    toBytes: try reader.fileOffset()))
        case .addsAttribute:
            return .intended(
                .addsAttribute(try reader.value(), name: try reader.attributeName()))
        case .removesAttribute:
            return .intended(
                .removesAttribute(try reader.value(), name: try reader.attributeName()))
        case .done: return .ended(.done)
        case .entry: return .ended(.entry(try reader.value(), open: try open(&reader)))
        case .attributes: return .ended(.attributes(try reader.value()))
        case .written:
            return .ended(
                .written(
                    offsetBytes: try reader.fileOffset(), lengthBytes: try reader.uint32(),
                    sizeBytes: try reader.fileOffset()))
        case .copied: return .ended(.copied(try reader.fileOffset()))
        case .failed: return .ended(.failed(try reader.value()))
        }
    }

    private static func open(_ reader: inout ByteReader) throws(DecodingFailure) -> OpenID? {
        try reader.bool() ? try reader.value() : nil
    }
}
