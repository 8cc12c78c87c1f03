/// The file system's own name of a file: what `name_to_handle_at(2)` returns. It holds the inode and
/// its generation, and means the same on whichever node mounts the volume next.
public struct FileHandle: Hashable, Sendable, CustomStringConvertible {
    /// The longest handle accepted, in bytes. XFS needs 12, ext4 8.
    public static let maximumLength = 32

    /// The file system's handle type (`handle_type`), 0 to 255 for the file systems used here.
    public let kind: Int32
    /// The number of bytes that count.
    public let length: UInt8
    private let words: InlineWords

    private struct InlineWords: Hashable, Sendable {
        var word0: UInt64 = 0
        var word1: UInt64 = 0
        var word2: UInt64 = 0
        var word3: UInt64 = 0

        subscript(index: Int) -> UInt64 {
            get {
                switch index {
                case 0: word0
                case 1: word1
                case 2: word2
                default: word3
                }
            }
            set {
                switch index {
                case 0: word0 = newValue
                case 1: word1 = newValue
                case 2: word2 = newValue
                default: word3 = newValue
                }
            }
        }
    }

    /// Nil where `bytes` is empty or longer than ``maximumLength``.
    public init?(kind: Int32, bytes: some Sequence<UInt8>) {
        var words = InlineWords()
        var count = 0
        for byte in bytes {
            guard count < Self.maximumLength else { return nil }
            words[count / 8] |= UInt64(byte) << UInt64(8 * (count % 8))
            count += 1
        }
        guard count > 0 else { return nil }
        self.kind = kind
        self.length = UInt8(count)
        self.words = words
    }

    /// The handle's bytes, as the kernel gave them.
    public var bytes: [UInt8] {
        (0..<Int(length)).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(8 * ($0 % 8))) }
    }

    public var description: String {
        let digits = bytes.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "\(kind):" + digits.joined()
    }
}
