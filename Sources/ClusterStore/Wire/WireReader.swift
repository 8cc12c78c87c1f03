/// A message that cannot be decoded.
struct WireError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Reads what `WireWriter` wrote. Every length is checked against its limit and against what is
/// left before anything is allocated for it.
struct WireReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var remaining: Int { bytes.count - position }

    mutating func integer<Integer: FixedWidthInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(WireError) -> Integer {
        let width = Integer.bitWidth / 8
        try need(width)
        var value: Integer = 0
        withUnsafeMutableBytes(of: &value) {
            $0.copyBytes(from: bytes[position..<position + width])
        }
        position += width
        return Integer(bigEndian: value)
    }

    mutating func bool() throws(WireError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: return false
        case 1: return true
        case let other: throw WireError("a flag is \(other)")
        }
    }

    mutating func blob(limit: Int) throws(WireError) -> [UInt8] {
        let count = Int(try integer(UInt32.self))
        if count > limit { throw WireError("\(count) bytes where at most \(limit) may be") }
        try need(count)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func text(limit: Int) throws(WireError) -> String {
        let raw = try blob(limit: limit)
        guard let text = String(validating: raw, as: UTF8.self) else {
            throw WireError("text is not UTF-8")
        }
        return text
    }

    mutating func option<Value>(
        _ body: (inout WireReader) throws(WireError) -> Value
    ) throws(WireError) -> Value? {
        try bool() ? try body(&self) : nil
    }

    /// Every element must take at least one byte, so `count` is bounded by what is left.
    mutating func list<Value>(
        limit: Int, _ body: (inout WireReader) throws(WireError) -> Value
    ) throws(WireError) -> [Value] {
        let count = Int(try integer(UInt32.self))
        if count > limit { throw WireError("\(count) elements where at most \(limit) may be") }
        try need(count)
        var values: [Value] = []
        for _ in 0..<count { values.append(try body(&self)) }
        return values
    }

    func end() throws(WireError) {
        if remaining > 0 { throw WireError("\(remaining) bytes too many") }
    }

    private func need(_ count: Int) throws(WireError) {
        if remaining < count { throw WireError("\(count - remaining) bytes are missing") }
    }
}
