import Foundation

/// Reads what the test guest has written to its disk; see Tests/Guest/workload.c.
enum GuestRecords {
    static let blockBytes = 4096
    static let blocks: UInt64 = 4096

    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value
        value ^= value >> 30
        value = value &* 0xbf58_476d_1ce4_e5b9
        value ^= value >> 27
        value = value &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    /// Every record from the last that the guest was told of back to the ring's start is there, whole.
    static func check(image path: String, boot: String, lastRecord last: UInt64) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        guard let boot = UInt64(boot) else { throw Finding("\(boot) is no boot") }
        try require(last > 0, "the guest has written nothing")
        let first = last > blocks - 64 ? last - (blocks - 64) : 1
        for number in first...last {
            let start = Int(number % blocks) * blockBytes
            try require(data.count >= start + blockBytes, "the disk ends before record \(number)")
            let words = data[start..<(start + blockBytes)].withUnsafeBytes { bytes in
                (0..<(blockBytes / 8)).map {
                    bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)
                }
            }
            let magic = Data("COVOLREC".utf8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            try require(words[0] == magic, "record \(number) is lost")
            try require(words[1] == boot, "record \(number) is another boot's")
            // A later one of the ring may be there already.
            try require(
                words[2] >= number && words[2] % blocks == number % blocks,
                "where record \(number) should be is \(words[2])")
            var sum: UInt64 = 0
            for index in 4..<words.count {
                try require(
                    words[index] == mix(boot ^ mix(words[2]) ^ UInt64(index)),
                    "record \(words[2]) is torn at word \(index)")
                sum = mix(sum ^ words[index])
            }
            try require(words[3] == sum, "record \(words[2]) has a wrong sum")
        }
    }
}
