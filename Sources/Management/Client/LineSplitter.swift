import Foundation

/// Cuts a stream of bytes into lines, and refuses lines that are too long.
struct LineSplitter {
    let maximumBytes: Int
    private var rest = Data()

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    /// Takes the next bytes; returns the lines that they complete, without their ends.
    mutating func append(_ bytes: some Sequence<UInt8>) throws(ManagementError) -> [Data] {
        var lines: [Data] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                lines.append(rest)
                rest = Data()
            } else {
                guard rest.count < maximumBytes else {
                    throw ManagementClient.badAnswer("a line is longer than \(maximumBytes) bytes")
                }
                rest.append(byte)
            }
        }
        return lines
    }
}
