import VolumeModel

/// Builds a reply's bytes, field by field (`linux/fuse.h`).
struct FUSEEncoder {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    mutating func u16(_ value: UInt16) { append(value) }
    mutating func u32(_ value: UInt32) { append(value) }
    mutating func u64(_ value: UInt64) { append(value) }
    mutating func raw(_ data: some Collection<UInt8>) { bytes.append(contentsOf: data) }
    mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    private mutating func append(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// `struct fuse_attr`, 88 bytes.
    mutating func attributes(_ value: FileAttributes) {
        u64(value.inode)
        u64(value.sizeBytes)
        u64(value.blocks512)
        u64(UInt64(bitPattern: value.accessTime.seconds))
        u64(UInt64(bitPattern: value.modificationTime.seconds))
        u64(UInt64(bitPattern: value.changeTime.seconds))
        u32(value.accessTime.nanoseconds)
        u32(value.modificationTime.nanoseconds)
        u32(value.changeTime.nanoseconds)
        u32(value.mode)
        u32(value.linkCount)
        u32(value.userID)
        u32(value.groupID)
        u32(FUSEDecoder.deviceNumber(major: value.deviceMajor, minor: value.deviceMinor))
        u32(value.blockSizeBytes)
        u32(0)
    }

    /// `struct fuse_entry_out`, 128 bytes; nil is an entry of which the kernel learns nothing.
    mutating func entry(_ value: FUSEEntry?) {
        guard let value else { return zeros(128) }
        u64(value.nodeID)
        u64(value.generation)
        u64(value.entryTimeoutSeconds)
        u64(value.attributesTimeoutSeconds)
        u32(0)
        u32(0)
        attributes(value.attributes)
    }

    /// `struct fuse_open_out`, 16 bytes.
    mutating func opened(handle: UInt64, openFlags: UInt32) {
        u64(handle)
        u32(openFlags)
        u32(0)
    }

    /// `struct fuse_kstatfs`, 80 bytes.
    mutating func statistics(_ value: FileSystemStatistics) {
        u64(value.blocks)
        u64(value.blocksFree)
        u64(value.blocksAvailable)
        u64(value.files)
        u64(value.filesFree)
        u32(value.blockSizeBytes)
        u32(value.nameLengthMaximum)
        u32(value.blockSizeBytes)
        zeros(28)
    }

    /// `struct fuse_statx_out`, 288 bytes.
    mutating func statx(_ value: FUSEStatx) {
        let attributes = value.attributes
        u64(value.timeoutSeconds)
        u32(0)
        u32(0)
        zeros(16)
        // STATX_BASIC_STATS, and STATX_BTIME where there is one.
        u32(0x7ff | (value.birthTime == nil ? 0 : 0x800))
        u32(attributes.blockSizeBytes)
        u64(0)
        u32(attributes.linkCount)
        u32(attributes.userID)
        u32(attributes.groupID)
        u16(UInt16(truncatingIfNeeded: attributes.mode))
        u16(0)
        u64(attributes.inode)
        u64(attributes.sizeBytes)
        u64(attributes.blocks512)
        u64(0)
        for time in [
            attributes.accessTime, value.birthTime ?? Timestamp(seconds: 0, nanoseconds: 0),
            attributes.changeTime, attributes.modificationTime,
        ] {
            u64(UInt64(bitPattern: time.seconds))
            u32(time.nanoseconds)
            u32(0)
        }
        u32(attributes.deviceMajor)
        u32(attributes.deviceMinor)
        zeros(8 + 112)
    }
}

/// The answer to a STATX.
public struct FUSEStatx: Sendable {
    public var attributes: FileAttributes
    public var birthTime: Timestamp?
    public var timeoutSeconds: UInt64

    public init(attributes: FileAttributes, birthTime: Timestamp?, timeoutSeconds: UInt64 = 0) {
        self.attributes = attributes
        self.birthTime = birthTime
        self.timeoutSeconds = timeoutSeconds
    }
}
