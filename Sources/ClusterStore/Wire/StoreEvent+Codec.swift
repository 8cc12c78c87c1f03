// These forms are also what the database holds (history, checksums): a change of them needs a new
// `StoreSchema.version`.

extension KeyValue {
    func encode(into writer: inout WireWriter) {
        writer.write(key)
        writer.write(value)
        writer.write(createRevision)
        writer.write(modRevision)
        writer.write(version)
        writer.write(lease) { $0.write($1.rawValue) }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        key = try reader.key()
        value = try reader.blob(limit: StoreLimits.valueBytes)
        createRevision = try reader.integer()
        modRevision = try reader.integer()
        version = try reader.integer()
        lease = try reader.lease()
    }
}

extension StoreEvent {
    func encode(into writer: inout WireWriter) {
        writer.write(revision)
        switch kind {
        case .put(let entry):
            writer.write(UInt8(1))
            entry.encode(into: &writer)
        case .delete:
            writer.write(UInt8(2))
            writer.write(key)
        }
        writer.write(previous) { $1.encode(into: &$0) }
    }

    init(_ reader: inout WireReader) throws(WireError) {
        revision = try reader.integer()
        switch try reader.integer(UInt8.self) {
        case 1:
            let entry = try KeyValue(&reader)
            kind = .put(entry)
            key = entry.key
        case 2:
            kind = .delete
            key = try reader.key()
        case let other: throw WireError("unknown event \(other)")
        }
        previous = try reader.option { reader throws(WireError) in try KeyValue(&reader) }
    }
}

extension WireReader {
    mutating func key() throws(WireError) -> String {
        try text(limit: StoreLimits.keyBytes)
    }

    mutating func lease() throws(WireError) -> LeaseID? {
        try option { reader throws(WireError) in LeaseID(rawValue: try reader.integer()) }
    }
}
