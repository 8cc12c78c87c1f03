/// What goes between the holder and its clients: one message of a SOCK_SEQPACKET socket each way.
/// Little-endian fields; texts and records with four bytes of length before them.
struct HolderMessage: Equatable {
    enum Kind: UInt8 {
        /// Request: keep these descriptors and this record, in place of what was kept under that name.
        case keep = 1
        /// Request: what is kept under a name.
        case take = 2
        /// Request: forget a name.
        case drop = 3
        /// Answer: done, with the record where it was asked for.
        case done = 4
        /// Answer: refused.
        case refused = 5
        /// Request: the names that are kept and that nobody serves; the answer's record has them, each
        /// ended by a NUL.
        case list = 6
    }

    static let nameMaximumBytes = 4095
    static let recordMaximumBytes = 48 << 10
    static let maximumBytes = nameMaximumBytes + recordMaximumBytes + 16
    /// The first bytes: the format and its version.
    private static let magic: UInt32 = 0x3248_5643

    var kind: Kind
    var name = ""
    var record: [UInt8] = []

    init(_ kind: Kind, name: String = "", record: [UInt8] = []) {
        self.kind = kind
        self.name = name
        self.record = record
    }

    /// Nil for what is no such message.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        func number(_ size: Int) -> Int? {
            guard rest.count >= size else { return nil }
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        func field(_ maximum: Int) -> ArraySlice<UInt8>? {
            guard let length = number(4), length <= maximum, rest.count >= length else {
                return nil
            }
            defer { rest = rest.dropFirst(length) }
            return rest.prefix(length)
        }
        guard number(4) == Int(Self.magic),
            let kind = number(1).flatMap({ Kind(rawValue: UInt8($0)) }),
            let name = field(Self.nameMaximumBytes).flatMap({
                String(validating: $0, as: UTF8.self)
            }),
            let record = field(Self.recordMaximumBytes), rest.isEmpty
        else { return nil }
        self.init(kind, name: name, record: Array(record))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        func put(_ number: UInt32) {
            for index in 0..<4 {
                bytes.append(UInt8(truncatingIfNeeded: number >> (8 * UInt32(index))))
            }
        }
        put(Self.magic)
        bytes.append(kind.rawValue)
        put(UInt32(name.utf8.count))
        bytes += name.utf8
        put(UInt32(record.count))
        bytes += record
        return bytes
    }
}
