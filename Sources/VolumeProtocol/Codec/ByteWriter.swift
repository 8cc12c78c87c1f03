/// Builds a message: integers in little-endian order, one behind the other without padding.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(reservingBytes count: Int = 0) { bytes.reserveCapacity(count) }

    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    public mutating func append(_ value: UInt8) { bytes.append(value) }
    public mutating func append(_ value: UInt16) { appendInteger(value) }
    public mutating func append(_ value: UInt32) { appendInteger(value) }
    public mutating func append(_ value: UInt64) { appendInteger(value) }
    public mutating func append(_ value: Int32) { appendInteger(UInt32(bitPattern: value)) }
    public mutating func append(_ value: Int64) { appendInteger(UInt64(bitPattern: value)) }
    public mutating func append(_ value: Bool) { bytes.append(value ? 1 : 0) }
    public mutating func append(_ value: some WireCodable) { value.encode(into: &self) }

    /// The number of one of a type's cases.
    public mutating func append<Number: RawRepresentable>(number: Number)
    where Number.RawValue == UInt8 {
        bytes.append(number.rawValue)
    }

    /// The bytes behind their count in 32 bits.
    public mutating func append(counted value: [UInt8]) {
        append(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    /// The bytes behind their count in 16 bits.
    public mutating func append(name: [UInt8]) {
        append(UInt16(name.count))
        bytes.append(contentsOf: name)
    }

    /// The elements behind their count in 32 bits.
    public mutating func append(list: [some WireCodable]) {
        append(UInt32(list.count))
        for element in list { element.encode(into: &self) }
    }

    private mutating func appendInteger<Value: FixedWidthInteger & UnsignedInteger>(
        _ value: Value
    ) {
        var rest = value
        for _ in 0..<Value.bitWidth / 8 {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }
}
