import VolumeModel

/// Reads `struct xfs_dsb` (fs/xfs/libxfs/xfs_format.h), at the start of the device, big-endian.
enum XFSSuperblock {
    static let byteCount = 512
    private static let magic: UInt32 = 0x5846_5342

    private enum Incompatible {
        static let needsRepair: UInt32 = 0x10
        static let zoned: UInt32 = 0x200
        static let zoneGaps: UInt32 = 0x400
    }

    private static let readOnlyCompatible: [(bit: UInt32, name: String)] = [
        (0x1, "finobt"), (0x2, "rmapbt"), (0x4, "reflink"), (0x8, "inobtcount"),
    ]
    private static let incompatible: [(bit: UInt32, name: String)] = [
        (0x1, "ftype"), (0x2, "sparse"), (0x4, "meta_uuid"), (0x8, "bigtime"),
        (Incompatible.needsRepair, "needsrepair"), (0x20, "nrext64"), (0x40, "exchange"),
        (0x80, "parent"), (0x100, "metadir"), (Incompatible.zoned, "zoned"),
        (Incompatible.zoneGaps, "zone_gaps"),
    ]

    /// Nil where there is no such superblock.
    static func describe(
        _ raw: [UInt8], deviceSizeBytes: UInt64, logicalBlockSizeBytes: UInt32
    ) -> FileSystemDescription? {
        let bytes = SuperblockBytes(bytes: raw, isBigEndian: true)
        guard raw.count >= byteCount, bytes.integer(0) == magic else { return nil }
        let blockSize: UInt32 = bytes.integer(4)
        let blocks: UInt64 = bytes.integer(8)
        let (size, overflow) = blocks.multipliedReportingOverflow(by: UInt64(blockSize))
        var found = FileSystemDescription(
            kind: .xfs, uuid: bytes.uuid(32), label: bytes.text(108, 12), features: [],
            blockSizeBytes: UInt64(blockSize),
            sectorSizeBytes: UInt64(bytes.integer(102, as: UInt16.self)),
            sizeBytes: overflow ? .max : size)
        found.checkSizes(
            deviceSizeBytes: deviceSizeBytes, logicalBlockSizeBytes: logicalBlockSizeBytes)
        checkLayout(bytes, &found)
        let version = bytes.integer(100, as: UInt16.self) & 0xf
        if version == 5 {
            checkFeatures(bytes, &found)
        } else {
            found.refusals.append(
                "it is XFS version \(version), without checksums, which kernels no longer support "
                    + "by default: copy the data to a newly formatted volume")
        }
        return found
    }

    private static func checkLayout(_ bytes: SuperblockBytes, _ found: inout FileSystemDescription)
    {
        if bytes.integer(48, as: UInt64.self) == 0 {
            found.refusals.append(
                "its log is on another device; a volume is one LUN: copy the data to a newly "
                    + "formatted volume")
        }
        if bytes.integer(16, as: UInt64.self) != 0 || bytes.integer(24, as: UInt64.self) != 0 {
            found.refusals.append(
                "it has a realtime section, whose blocks are not on this LUN's own addresses")
        }
        if bytes.integer(126, as: UInt8.self) != 0 {
            found.refusals.append("mkfs.xfs did not finish on it; format it again")
        }
        if bytes.integer(176, as: UInt16.self) != 0 {
            found.notes.append(
                "it has quotas; a volume does not enforce them, and the next ordinary mount counts "
                    + "them anew")
        }
    }

    private static func checkFeatures(
        _ bytes: SuperblockBytes, _ found: inout FileSystemDescription
    ) {
        let incompatibleMask: UInt32 = bytes.integer(216)
        found.take(
            bytes.integer(212), known: readOnlyCompatible, unknown: "read-only compatible")
        found.take(incompatibleMask, known: incompatible, unknown: "incompatible")
        if incompatibleMask & Incompatible.needsRepair != 0 {
            found.refusals.append("it needs repair; run xfs_repair on it first")
        }
        if incompatibleMask & (Incompatible.zoned | Incompatible.zoneGaps) != 0 {
            found.refusals.append("it is zoned, so a written block cannot be written in place")
        }
    }
}
