import VolumeModel

extension OperationResult: WireCodable {
    private typealias Number = OperationResultNumber

    /// What the smallest directory entry takes of a page, in the kernel's `linux_dirent64`.
    static let directoryEntryMinimumBytes = 24
    /// The most entries in one answer.
    static let directoryEntriesMaximum =
        Limits.directoryPageMaximumBytes / directoryEntryMinimumBytes

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .done: writer.append(number: Number.done)
        case .entry(let entry):
            writer.append(number: Number.entry)
            writer.append(entry)
        case .attributes(let attributes):
            writer.append(number: Number.attributes)
            writer.append(attributes)
        case .bytes(let bytes):
            writer.append(number: Number.bytes)
            writer.append(counted: bytes)
        case .names(let names):
            writer.append(number: Number.names)
            writer.append(UInt32(names.count))
            for name in names { writer.append(name: name) }
        case .directory(let entries, let atEnd):
            writer.append(number: Number.directory)
            writer.append(list: entries)
            writer.append(atEnd)
        case .statistics(let statistics):
            writer.append(number: Number.statistics)
            writer.append(statistics)
        case .offset(let offset):
            writer.append(number: Number.offset)
            writer.append(offset)
        case .copied(let count):
            writer.append(number: Number.copied)
            writer.append(count)
        case .layout(let grant):
            writer.append(number: Number.layout)
            writer.append(grant)
        case .growth(let grant):
            writer.append(number: Number.growth)
            writer.append(grant)
        case .sendData: writer.append(number: Number.sendData)
        case .lockConflict(let conflict):
            writer.append(number: Number.lockConflict)
            writer.append(conflict != nil)
            if let conflict { writer.append(conflict) }
        case .data: writer.append(number: Number.data)
        case .written(let offsetBytes, let lengthBytes, let sizeBytes):
            writer.append(number: Number.written)
            writer.append(offsetBytes)
            writer.append(lengthBytes)
            writer.append(sizeBytes)
        case .failed(let error):
            writer.append(number: Number.failed)
            writer.append(error)
        }
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("operation result", as: Number.self) {
        case .done: self = .done
        case .entry: self = .entry(try reader.value())
        case .attributes: self = .attributes(try reader.value())
        case .bytes:
            self = .bytes(
                try reader.counted("value", maximum: Limits.extendedAttributeMaximumBytes))
        case .names: self = .names(try Self.names(&reader))
        case .directory:
            self = .directory(
                try reader.list(
                    "directory entries", maximum: Self.directoryEntriesMaximum, elementBytes: 21),
                atEnd: try reader.bool())
        case .statistics: self = .statistics(try reader.value())
        case .offset: self = .offset(try reader.fileOffset())
        case .copied: self = .copied(try reader.fileOffset())
        case .layout: self = .layout(try reader.value())
        case .growth: self = .growth(try reader.value())
        case .sendData: self = .sendData
        case .lockConflict: self = .lockConflict(try reader.bool() ? try reader.value() : nil)
        case .data: self = .data
        case .written: self = try Self.written(&reader)
        case .failed: self = .failed(try reader.value())
        }
    }

    /// At most what listxattr(2) can return: `XATTR_LIST_MAX` bytes, each name with its NUL.
    private static func names(_ reader: inout ByteReader) throws(DecodingFailure) -> [[UInt8]] {
        let maximum = Limits.extendedAttributeMaximumBytes
        let count = try reader.count("names", maximum: maximum / 2, elementBytes: 3)
        var names: [[UInt8]] = []
        names.reserveCapacity(count)
        var total = 0
        for _ in 0..<count {
            let name = try reader.attributeName()
            total += name.count + 1
            guard total <= maximum else {
                throw .tooLong("list of names", length: total, maximum: maximum)
            }
            names.append(name)
        }
        return names
    }

    private static func written(
        _ reader: inout ByteReader
    ) throws(DecodingFailure) -> OperationResult {
        let offset = try reader.fileOffset()
        let length = try reader.uint32()
        guard length <= Limits.payloadMaximumBytes else {
            throw .tooLong("write", length: Int(length), maximum: Limits.payloadMaximumBytes)
        }
        return .written(
            offsetBytes: offset, lengthBytes: length, sizeBytes: try reader.fileOffset())
    }
}

extension ErrorCode: WireCodable {
    /// `MAX_ERRNO` of the kernel.
    private static let maximum: Int32 = 4095

    public func encode(into writer: inout ByteWriter) { writer.append(number) }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(try reader.int32())
        guard (1...Self.maximum).contains(number) else { throw .invalid("error number \(number)") }
    }
}
