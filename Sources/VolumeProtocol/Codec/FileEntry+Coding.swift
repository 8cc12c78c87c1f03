import VolumeModel

extension FileEntry: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(handle)
        writer.append(attributes)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        self.init(handle: try reader.value(), attributes: try reader.value())
    }
}

extension DirectoryEntry: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(name: name)
        writer.append(inode)
        writer.append(kind?.directoryEntryType ?? 0)
        writer.append(nextCookie)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let name = try reader.fileName()
        let inode = try reader.uint64()
        let type = try reader.uint8()
        let kind = FileKind(directoryEntryType: type)
        guard kind != nil || type == 0 else {
            throw .unknown("directory entry type", number: UInt64(type))
        }
        self.init(name: name, inode: inode, kind: kind, nextCookie: try reader.int64())
    }
}

extension DirectoryEntryWithFile: WireCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.append(entry)
        guard let file else {
            writer.append(number: EntryFileNumber.none)
            return
        }
        writer.append(number: isGranted ? EntryFileNumber.granted : EntryFileNumber.file)
        writer.append(file)
    }

    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        let entry = try reader.value(DirectoryEntry.self)
        switch try reader.number("directory entry's file", as: EntryFileNumber.self) {
        case .none: self.init(entry: entry, file: nil)
        case .file: self.init(entry: entry, file: try reader.value())
        case .granted: self.init(entry: entry, file: try reader.value(), isGranted: true)
        }
    }
}
