import VolumeModel

/// Reads a request's fields in order. Every step checks the bounds. The bytes must outlive it.
struct FUSEFields {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remainingBytes: Int { bytes.count }

    private mutating func take(_ count: Int) throws(FUSEDecodeError) -> UnsafeRawBufferPointer {
        guard count <= bytes.count else {
            throw .truncated(neededBytes: count, presentBytes: bytes.count)
        }
        let part = UnsafeRawBufferPointer(rebasing: bytes[0..<count])
        bytes = UnsafeRawBufferPointer(rebasing: bytes[count...])
        return part
    }

    mutating func u16() throws(FUSEDecodeError) -> UInt16 {
        try take(2).loadUnaligned(as: UInt16.self)
    }

    mutating func u32() throws(FUSEDecodeError) -> UInt32 {
        try take(4).loadUnaligned(as: UInt32.self)
    }

    mutating func u64() throws(FUSEDecodeError) -> UInt64 {
        try take(8).loadUnaligned(as: UInt64.self)
    }

    mutating func skip(_ count: Int) throws(FUSEDecodeError) { _ = try take(count) }

    /// What follows, all of it.
    mutating func rest() -> UnsafeRawBufferPointer {
        let part = bytes
        bytes = UnsafeRawBufferPointer(rebasing: bytes[bytes.count...])
        return part
    }

    mutating func data(_ count: UInt32, maximum: Int) throws(FUSEDecodeError) -> [UInt8] {
        guard count <= maximum else { throw .tooLarge(sizeBytes: UInt64(count)) }
        return Array(try take(Int(count)))
    }

    /// Bytes up to a NUL, which is consumed.
    private mutating func string(maximum: Int) throws(FUSEDecodeError) -> [UInt8] {
        guard let end = bytes.firstIndex(of: 0) else { throw .unterminatedName }
        guard end <= maximum else { throw .nameTooLong(lengthBytes: end) }
        let part = Array(try take(end))
        try skip(1)
        return part
    }

    /// A name in a directory: not empty, no slash, not `.` or `..`, which the kernel resolves itself.
    mutating func name() throws(FUSEDecodeError) -> [UInt8] {
        let name = try string(maximum: Limits.nameMaximumBytes)
        guard !name.isEmpty, !name.contains(UInt8(ascii: "/")),
            name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")]
        else { throw .badName }
        return name
    }

    mutating func attributeName() throws(FUSEDecodeError) -> [UInt8] {
        let name = try string(maximum: Limits.nameMaximumBytes)
        guard !name.isEmpty else { throw .badName }
        return name
    }

    mutating func linkTarget() throws(FUSEDecodeError) -> [UInt8] {
        let target = try string(maximum: Limits.symbolicLinkMaximumBytes)
        guard !target.isEmpty else { throw .badName }
        return target
    }
}
