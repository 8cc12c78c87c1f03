/// CRC-32 (ISO-HDLC, the one of zlib) over a row's content. SQLite keeps no checksums of its pages, so
/// a value that rotted on the disk would otherwise be taken for the cluster's state.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1
        }
    }

    static func of(_ bytes: [UInt8]) -> Int64 {
        var value = UInt32.max
        for byte in bytes {
            value = table[Int((value ^ UInt32(byte)) & 0xFF)] ^ (value >> 8)
        }
        return Int64(~value)
    }
}
