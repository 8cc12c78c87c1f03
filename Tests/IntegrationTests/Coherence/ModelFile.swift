import Glibc

/// What a file must be: its bytes, its attributes and its locks.
final class ModelFile {
    static let maximumBytes = 4 << 20

    /// Beyond `size` all zeros.
    let bytes: UnsafeMutableRawBufferPointer
    private(set) var size = 0
    var links = 1
    var mode: UInt32 = 0o644
    /// The modification time is this or later, in nanoseconds.
    var timeFloor: Int64 = 0
    /// The modification time is this, since somebody set it.
    var timeExact: Int64?
    var locks = ModelLocks()
    let number: Int

    init(number: Int) {
        self.number = number
        bytes = .allocate(byteCount: Self.maximumBytes, alignment: 4096)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { bytes.deallocate() }

    func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        precondition(offset + source.count <= Self.maximumBytes)
        memcpy(bytes.baseAddress! + offset, source.baseAddress!, source.count)
        size = max(size, offset + source.count)
    }

    func truncate(_ newSize: Int) {
        if newSize < size { zero(newSize..<size) }
        size = newSize
    }

    func zero(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<Self.maximumBytes)
        memset(bytes.baseAddress! + range.lowerBound, 0, range.count)
    }

    func extend(to end: Int) { size = max(size, end) }

    func isZero(_ range: Range<Int>) -> Bool { !bytes[range].contains { $0 != 0 } }

    /// Where `found`, read at `offset`, differs; nil where it does not.
    func firstDifference(_ found: UnsafeRawBufferPointer, at offset: Int) -> Int? {
        guard found.count > 0,
            memcmp(bytes.baseAddress! + offset, found.baseAddress!, found.count) != 0
        else { return nil }
        return found.indices.first { found[$0] != bytes[offset + $0] }.map { $0 + offset }
    }

    /// Something was written or cut now.
    func changed(since nanoseconds: Int64) {
        timeExact = nil
        timeFloor = max(timeFloor, nanoseconds)
    }
}
