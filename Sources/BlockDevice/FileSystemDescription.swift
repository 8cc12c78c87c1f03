import VolumeModel

/// What the superblock of an XFS or ext4 says.
public struct FileSystemDescription: Hashable, Sendable {
    public var kind: FileSystemKind
    /// In the usual form, 36 characters.
    public var uuid: String
    public var label: String
    /// The features that are on, by the names that the tools show.
    public var features: [String]
    public var blockSizeBytes: UInt64
    public var sectorSizeBytes: UInt64
    /// Of the whole file system, as far as the superblock knows.
    public var sizeBytes: UInt64
    /// Where one of Covolume's rules cannot hold (the end of the design's section 7).
    public var refusals: [String] = []
    /// What an operator should know about a volume with this file system.
    public var notes: [String] = []

    /// The logical blocks that a loop device under this file system must have: XFS mounts on none
    /// that are larger than its sectors.
    public var loopBlockSizeBytes: UInt32 {
        UInt32(min(max(sectorSizeBytes, 512), Limits.blockSizeBytes))
    }

    /// Refuses features of a mask that are not in `known`.
    mutating func take(
        _ mask: UInt32, known: [(bit: UInt32, name: String)], unknown word: String
    ) {
        features += known.filter { mask & $0.bit != 0 }.map(\.name)
        let rest = known.reduce(mask) { $0 & ~$1.bit }
        if rest != 0 {
            refusals.append(
                "it has \(word) features that this version does not know: 0x"
                    + String(rest, radix: 16))
        }
    }

    /// What holds for both kinds.
    mutating func checkSizes(deviceSizeBytes: UInt64, logicalBlockSizeBytes: UInt32) {
        if blockSizeBytes != Limits.blockSizeBytes {
            refusals.append(
                "its blocks are \(blockSizeBytes) bytes; a volume's must be the page's size, "
                    + "\(Limits.blockSizeBytes): copy the data to a newly formatted volume")
        }
        if sectorSizeBytes < UInt64(logicalBlockSizeBytes) {
            refusals.append(
                "its sectors of \(sectorSizeBytes) bytes are smaller than the device's logical "
                    + "blocks of \(logicalBlockSizeBytes)")
        }
        if sizeBytes > deviceSizeBytes {
            refusals.append(
                "it is \(sizeBytes) bytes long and the device only \(deviceSizeBytes): the device "
                    + "was shrunk, or this is not the whole of it")
        }
    }
}

/// A superblock's bytes, read field by field.
struct SuperblockBytes {
    let bytes: [UInt8]
    let isBigEndian: Bool

    func integer<Value: FixedWidthInteger>(_ offset: Int, as _: Value.Type = Value.self) -> Value {
        let size = MemoryLayout<Value>.size
        var value: Value = 0
        for index in 0..<size {
            let position = isBigEndian ? offset + index : offset + size - 1 - index
            value = value << 8 | Value(truncatingIfNeeded: bytes[position])
        }
        return value
    }

    func text(_ offset: Int, _ count: Int) -> String {
        String(decoding: bytes[offset..<(offset + count)].prefix { $0 != 0 }, as: UTF8.self)
    }

    func uuid(_ offset: Int) -> String {
        var text = ""
        for (index, byte) in bytes[offset..<(offset + 16)].enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return text
    }
}
