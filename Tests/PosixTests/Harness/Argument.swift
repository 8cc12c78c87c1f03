/// An argument of a system call, as `posix-helper` takes it.
enum Argument {
    case number(Int)
    /// A path or name: a C string.
    case text(String)
    /// A pointer to bytes that the kernel reads.
    case bytes([UInt8])
    /// A pointer to room for bytes that the kernel fills.
    case room(Int)
    /// A pointer to bytes that the kernel reads and fills.
    case exchange([UInt8])

    static let workingDirectory = Argument.number(-100)  // AT_FDCWD
    static func flags(_ flags: Int32) -> Argument { .number(Int(flags)) }

    func encode(into frame: inout [UInt8]) {
        func sized(_ kind: Character, _ bytes: [UInt8]) -> [UInt8] {
            [kind.asciiValue!] + encoded(UInt32(bytes.count)) + bytes
        }
        switch self {
        case .number(let value):
            frame += [Character("i").asciiValue!] + encoded(Int64(value))
        case .text(let text): frame += sized("b", Array(text.utf8) + [0])
        case .bytes(let bytes): frame += sized("b", bytes)
        case .room(let count): frame += [Character("o").asciiValue!] + encoded(UInt32(count))
        case .exchange(let bytes): frame += sized("x", bytes)
        }
    }

    var returnedBytes: Int {
        switch self {
        case .number, .text, .bytes: 0
        case .room(let count): count
        case .exchange(let bytes): bytes.count
        }
    }

    /// How messages show it.
    var shown: String {
        switch self {
        case .number(let value): value == -100 ? "." : "\(value)"
        case .text(let text):
            text.utf8.count > 60 ? "\"\(text.prefix(20))…\" (\(text.utf8.count))" : "\"\(text)\""
        case .bytes(let bytes), .exchange(let bytes): "<\(bytes.count) bytes>"
        case .room(let count): "<room for \(count)>"
        }
    }
}

/// An integer in the machine's byte order.
func encoded<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) }
}

/// The integer at an offset of a structure that the kernel filled.
func decoded<Value: FixedWidthInteger>(
    _ bytes: [UInt8], at offset: Int, as type: Value.Type = Value.self
) -> Value {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
}
