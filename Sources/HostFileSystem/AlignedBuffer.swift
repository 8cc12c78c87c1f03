import VolumeModel

/// Memory that direct I/O can use, with one owner, freed with it.
struct AlignedBuffer: ~Copyable {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: Int(Limits.blockSizeBytes))
    }

    deinit { bytes.deallocate() }

    /// Whether direct I/O can go to and from this address.
    static func isAligned(_ address: UnsafeRawPointer) -> Bool {
        UInt(bitPattern: address) & UInt(Limits.blockSizeBytes - 1) == 0
    }
}

/// A payload of zeros. Sound to share: written once, before anyone reads it, and never freed.
nonisolated(unsafe) let zeros: UnsafeRawBufferPointer = {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Limits.payloadMaximumBytes, alignment: Int(Limits.blockSizeBytes))
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    return UnsafeRawBufferPointer(buffer)
}()
