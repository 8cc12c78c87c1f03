/// Takes a message apart. Reads nothing beyond its end, and allocates nothing before the length of
/// it has been checked.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    /// The offset of the next byte.
    public private(set) var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var remainingCount: Int { bytes.count - offset }

    public mutating func uint8() throws(DecodingFailure) -> UInt8 { try integer() }
    public mutating func uint16() throws(DecodingFailure) -> UInt16 { try integer() }
    public mutating func uint32() throws(DecodingFailure) -> UInt32 { try integer() }
    public mutating func uint64() throws(DecodingFailure) -> UInt64 { try integer() }
    public mutating func int32() throws(DecodingFailure) -> Int32 {
        Int32(bitPattern: try uint32())
    }
    public mutating func int64() throws(DecodingFailure) -> Int64 {
        Int64(bitPattern: try uint64())
    }

    public mutating func bool() throws(DecodingFailure) -> Bool {
        switch try uint8() {
        case 0: return false
        case 1: return true
        case let number: throw .unknown("truth value", number: UInt64(number))
        }
    }

    /// The number of one of a type's cases; `what` names the type in a failure.
    public mutating func number<Number: RawRepresentable>(
        _ what: String, as type: Number.Type = Number.self
    ) throws(DecodingFailure) -> Number where Number.RawValue == UInt8 {
        let raw = try uint8()
        guard let number = Number(rawValue: raw) else {
            throw .unknown(what, number: UInt64(raw))
        }
        return number
    }

    public mutating func value<Value: WireCodable>(
        _ type: Value.Type = Value.self
    ) throws(DecodingFailure) -> Value {
        try Value(decoding: &self)
    }

    /// Bytes behind their count in 32 bits.
    public mutating func counted(
        _ what: String, maximum: Int
    ) throws(DecodingFailure) -> [UInt8] {
        try take(Int(try uint32()), what, maximum: maximum)
    }

    /// Bytes behind their count in 16 bits.
    public mutating func shortCounted(
        _ what: String, maximum: Int
    ) throws(DecodingFailure) -> [UInt8] {
        try take(Int(try uint16()), what, maximum: maximum)
    }

    /// The next `count` bytes.
    public mutating func take(
        _ count: Int, _ what: String, maximum: Int
    ) throws(DecodingFailure) -> [UInt8] {
        guard count <= maximum else { throw .tooLong(what, length: count, maximum: maximum) }
        guard count <= remainingCount else { throw .truncated(offset: offset) }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    /// A list's count in 32 bits. `elementBytes` is the least that an element takes.
    public mutating func count(
        _ what: String, maximum: Int, elementBytes: Int
    ) throws(DecodingFailure) -> Int {
        let count = Int(try uint32())
        guard count <= maximum else { throw .tooLong(what, length: count, maximum: maximum) }
        guard count <= remainingCount / elementBytes else { throw .truncated(offset: offset) }
        return count
    }

    /// Elements behind their count in 32 bits. `elementBytes` is the least that one takes.
    public mutating func list<Element: WireCodable>(
        _ what: String, maximum: Int, elementBytes: Int
    ) throws(DecodingFailure) -> [Element] {
        let count = try count(what, maximum: maximum, elementBytes: elementBytes)
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try Element(decoding: &self)) }
        return elements
    }

    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>()
        throws(DecodingFailure) -> Value
    {
        let size = Value.bitWidth / 8
        guard size <= remainingCount else { throw .truncated(offset: offset) }
        var value: Value = 0
        for index in 0..<size {
            value |= Value(bytes[offset + index]) << Value(8 * index)
        }
        offset += size
        return value
    }
}
