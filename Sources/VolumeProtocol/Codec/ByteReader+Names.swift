import VolumeModel

extension ByteReader {
    /// A name in a directory, `.` and `..` included: which of them may be used where is the
    /// coordinator's matter.
    public mutating func fileName() throws(DecodingFailure) -> [UInt8] {
        let name = try attributeName()
        guard !name.contains(UInt8(ascii: "/")) else { throw .invalid("name with a slash") }
        return name
    }

    /// An extended attribute's name.
    public mutating func attributeName() throws(DecodingFailure) -> [UInt8] {
        let name = try shortCounted("name", maximum: Limits.nameMaximumBytes)
        guard !name.isEmpty, !name.contains(0) else { throw .invalid("name: empty, or with NUL") }
        return name
    }

    /// What a symbolic link is made to point to.
    mutating func linkTarget() throws(DecodingFailure) -> [UInt8] {
        let target = try counted("link target", maximum: Limits.symbolicLinkMaximumBytes)
        guard !target.isEmpty, !target.contains(0) else {
            throw .invalid("link target: empty, or with NUL")
        }
        return target
    }

    /// An offset in a file, or a file's size: fits the kernel's `loff_t`.
    public mutating func fileOffset() throws(DecodingFailure) -> UInt64 {
        let offset = try uint64()
        guard offset <= UInt64(Int64.max) else { throw .invalid("file offset \(offset)") }
        return offset
    }

    /// A range that does not reach beyond what the kernel's `loff_t` can say.
    mutating func fileRange() throws(DecodingFailure) -> ByteRange {
        let range = try value(ByteRange.self)
        guard range.endBytes <= UInt64(Int64.max) else { throw .invalid("file range \(range)") }
        return range
    }
}
