import VolumeModel

extension FUSEDecoder {
    /// Requests about attributes, plain and extended.
    func attributes(
        _ opcode: FUSEOpcode, _ fields: inout FUSEFields
    ) throws(FUSEDecodeError) -> FUSERequest {
        switch opcode {
        case .getattr:
            let flags = try fields.u32()
            try fields.skip(4)
            let handle = try fields.u64()
            return .getattr(handle: flags & 1 != 0 ? handle : nil)
        case .setattr: return .setattr(try setattr(&fields))
        case .statx:
            let flags = try fields.u32()
            try fields.skip(4)
            let handle = try fields.u64()
            return .statx(
                handle: flags & 1 != 0 ? handle : nil, flags: try fields.u32(),
                mask: try fields.u32())
        case .getxattr:
            let size = try fields.u32()
            try fields.skip(4)
            return .getxattr(name: try fields.attributeName(), size: size)
        case .setxattr:
            let size = try fields.u32()
            let flags = try fields.u32()
            var extended: UInt32 = 0
            if setxattrExtended {
                extended = try fields.u32()
                try fields.skip(4)
            }
            return .setxattr(
                name: try fields.attributeName(),
                value: try fields.data(size, maximum: Limits.extendedAttributeMaximumBytes),
                flags: flags, setxattrFlags: extended)
        case .listxattr:
            let size = try fields.u32()
            return .listxattr(size: size)
        case .removexattr: return .removexattr(name: try fields.attributeName())
        default: return .access(mask: try fields.u32())
        }
    }

    private func setattr(
        _ fields: inout FUSEFields
    ) throws(FUSEDecodeError) -> FUSESetAttribute {
        let valid = SetattrValid(rawValue: try fields.u32())
        try fields.skip(4)
        let handle = try fields.u64()
        let size = try fields.u64()
        let owner = try fields.u64()
        let seconds = (try fields.u64(), try fields.u64(), try fields.u64())
        let nanoseconds = (try fields.u32(), try fields.u32(), try fields.u32())
        let mode = try fields.u32()
        try fields.skip(4)
        let userID = try fields.u32()
        let groupID = try fields.u32()
        try fields.skip(4)

        var change = AttributeChange()
        if valid.contains(.mode) { change.mode = mode & ~FileKind.mask }
        if valid.contains(.userID) { change.userID = userID }
        if valid.contains(.groupID) { change.groupID = groupID }
        if valid.contains(.size) {
            guard size <= UInt64(Int64.max) else { throw .badValue(size) }
            change.sizeBytes = size
        }
        if valid.contains(.accessTime) {
            change.accessTime =
                valid.contains(.accessTimeNow)
                ? .now : .to(try Self.timestamp(seconds.0, nanoseconds.0))
        }
        if valid.contains(.modificationTime) {
            change.modificationTime =
                valid.contains(.modificationTimeNow)
                ? .now : .to(try Self.timestamp(seconds.1, nanoseconds.1))
        }
        change.clearsSetID = valid.contains(.clearsSetID)
        return FUSESetAttribute(
            change: change,
            changeTime: valid.contains(.changeTime)
                ? try Self.timestamp(seconds.2, nanoseconds.2) : nil,
            handle: valid.contains(.handle) ? handle : nil,
            lockOwner: valid.contains(.lockOwner) ? owner : nil)
    }

    private static func timestamp(
        _ seconds: UInt64, _ nanoseconds: UInt32
    ) throws(FUSEDecodeError) -> Timestamp {
        guard nanoseconds < 1_000_000_000 else { throw .badValue(UInt64(nanoseconds)) }
        return Timestamp(seconds: Int64(bitPattern: seconds), nanoseconds: nanoseconds)
    }
}

/// `FATTR_…`
private struct SetattrValid: OptionSet {
    let rawValue: UInt32

    static let mode = SetattrValid(rawValue: 1 << 0)
    static let userID = SetattrValid(rawValue: 1 << 1)
    static let groupID = SetattrValid(rawValue: 1 << 2)
    static let size = SetattrValid(rawValue: 1 << 3)
    static let accessTime = SetattrValid(rawValue: 1 << 4)
    static let modificationTime = SetattrValid(rawValue: 1 << 5)
    static let handle = SetattrValid(rawValue: 1 << 6)
    static let accessTimeNow = SetattrValid(rawValue: 1 << 7)
    static let modificationTimeNow = SetattrValid(rawValue: 1 << 8)
    static let lockOwner = SetattrValid(rawValue: 1 << 9)
    static let changeTime = SetattrValid(rawValue: 1 << 10)
    static let clearsSetID = SetattrValid(rawValue: 1 << 11)
}
