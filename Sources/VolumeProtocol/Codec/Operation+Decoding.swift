import VolumeModel

extension Operation: WireCodable {
    public init(decoding reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.number("operation", as: OperationNumber.self) {
        case .root: self = .root
        case .statistics: self = .statistics
        case .lookup: self = .lookup(try reader.value())
        case .unlink: self = .unlink(try reader.value())
        case .removeDirectory: self = .removeDirectory(try reader.value())
        case .attributes: self = .attributes(try reader.value())
        case .readLink: self = .readLink(try reader.value())
        case .extendedAttributes: self = .extendedAttributes(try reader.value())
        case .synchronize: self = .synchronize(try reader.value())
        case .setAttributes: self = .setAttributes(try reader.value(), try reader.value())
        case .create:
            self = .create(
                try reader.value(), mode: try reader.uint32(), try reader.value(),
                open: try reader.value(), exclusive: try reader.bool())
        case .createUnnamed:
            self = .createUnnamed(
                try reader.value(), mode: try reader.uint32(), try reader.value(),
                open: try reader.value())
        case .makeNode:
            self = .makeNode(
                try reader.value(), mode: try reader.uint32(), deviceMajor: try reader.uint32(),
                deviceMinor: try reader.uint32(), try reader.value())
        case .makeDirectory:
            self = .makeDirectory(
                try reader.value(), mode: try reader.uint32(), try reader.value())
        case .makeSymbolicLink:
            self = .makeSymbolicLink(
                try reader.value(), target: try reader.linkTarget(), try reader.value())
        case .link: self = .link(try reader.value(), try reader.value())
        case .rename:
            self = .rename(try reader.value(), to: try reader.value(), flags: try reader.uint32())
        case .open: self = .open(try reader.value(), try reader.value())
        case .release:
            self = .release(try reader.value(), try reader.value(), try reader.value())
        case .readDirectory:
            self = .readDirectory(
                try reader.value(), cookie: try reader.int64(), maximumBytes: try reader.uint32(),
                withAttributes: try reader.bool())
        case .lock: self = .lock(try reader.value())
        case .testLock: self = .testLock(try reader.value())
        case .cancelLock: self = .cancelLock(sequence: try reader.uint64())
        case .unlockOwner: self = .unlockOwner(try reader.value(), owner: try reader.uint64())
        case .extendedAttribute:
            self = .extendedAttribute(try reader.value(), name: try reader.attributeName())
        case .removeExtendedAttribute:
            self = .removeExtendedAttribute(try reader.value(), name: try reader.attributeName())
        case .setExtendedAttribute:
            self = .setExtendedAttribute(
                try reader.value(), name: try reader.attributeName(),
                value: try reader.counted(
                    "extended attribute", maximum: Limits.extendedAttributeMaximumBytes),
                flags: try reader.uint32())
        case .allocate:
            self = .allocate(
                try reader.value(), mode: try reader.uint32(), try reader.fileRange())
        case .seek:
            self = .seek(
                try reader.value(), offsetBytes: try reader.fileOffset(),
                try reader.number("seek target"))
        case .copyRange:
            self = .copyRange(
                try reader.value(), sourceOffsetBytes: try reader.fileOffset(),
                to: try reader.value(), targetOffsetBytes: try reader.fileOffset(),
                lengthBytes: try reader.fileOffset())
        case .layoutGet: self = .layoutGet(try reader.value(), try reader.value())
        case .layoutGrow: self = .layoutGrow(try reader.value(), try reader.fileRange())
        case .layoutFill: self = .layoutFill(try reader.value(), try reader.fileRange())
        case .layoutReturn:
            self = .layoutReturn(try reader.value(), try reader.value(), try reader.value())
        case .read: self = .read(try reader.value(), try reader.payloadRange())
        case .write:
            self = .write(
                try reader.value(), offsetBytes: try reader.fileOffset(), try reader.writeFlags())
        case .reclaimLayout:
            self = .reclaimLayout(
                try reader.value(),
                try reader.list(
                    "ranges", maximum: Limits.rangesPerReclaimMaximum,
                    elementBytes: ByteRange.encodedBytes),
                growth: try reader.bool() ? try reader.value() : nil)
        case .reclaimLock: self = .reclaimLock(try reader.value())
        case .reclaimed: self = .reclaimed
        }
    }
}

extension ByteReader {
    /// A range whose bytes fit one payload.
    fileprivate mutating func payloadRange() throws(DecodingFailure) -> ByteRange {
        let range = try fileRange()
        guard range.lengthBytes <= UInt64(Limits.payloadMaximumBytes) else {
            throw .tooLong(
                "read", length: Int(range.lengthBytes), maximum: Limits.payloadMaximumBytes)
        }
        return range
    }

    fileprivate mutating func writeFlags() throws(DecodingFailure) -> WriteFlags {
        let flags = WriteFlags(rawValue: try uint8())
        guard flags.isSubset(of: [.append, .clearsSetID, .durable]) else {
            throw .unknown("write flags", number: UInt64(flags.rawValue))
        }
        return flags
    }
}
