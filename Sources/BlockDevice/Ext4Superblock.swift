import VolumeModel

/// Reads `struct ext4_super_block` (fs/ext4/ext4.h; Documentation/filesystems/ext4/super.rst), 1024
/// bytes into the device, little-endian.
enum Ext4Superblock {
    static let offsetBytes = 1024
    static let byteCount = 1024
    private static let magic: UInt16 = 0xef53

    private enum Feature {
        static let hasJournal: UInt32 = 0x4
        static let journalDevice: UInt32 = 0x8
        static let extents: UInt32 = 0x40
        static let multiMount: UInt32 = 0x100
        static let inlineData: UInt32 = 0x8000
        static let encrypt: UInt32 = 0x1_0000
        static let bigalloc: UInt32 = 0x200
        static let readOnly: UInt32 = 0x1000
        static let verity: UInt32 = 0x8000
    }

    /// All that exist: what a kernel does not know here it may ignore.
    private static let compatible: [(bit: UInt32, name: String)] = [
        (0x1, "dir_prealloc"), (0x2, "imagic_inodes"), (Feature.hasJournal, "has_journal"),
        (0x8, "ext_attr"), (0x10, "resize_inode"), (0x20, "dir_index"), (0x200, "sparse_super2"),
        (0x400, "fast_commit"), (0x800, "stable_inodes"), (0x1000, "orphan_file"),
    ]
    private static let incompatible: [(bit: UInt32, name: String)] = [
        (0x2, "filetype"), (0x4, "needs_recovery"), (Feature.journalDevice, "journal_dev"),
        (0x10, "meta_bg"), (Feature.extents, "extent"), (0x80, "64bit"),
        (Feature.multiMount, "mmp"), (0x200, "flex_bg"), (0x400, "ea_inode"),
        (0x2000, "metadata_csum_seed"), (0x4000, "large_dir"), (Feature.inlineData, "inline_data"),
        (Feature.encrypt, "encrypt"), (0x2_0000, "casefold"),
    ]
    private static let readOnlyCompatible: [(bit: UInt32, name: String)] = [
        (0x1, "sparse_super"), (0x2, "large_file"), (0x8, "huge_file"), (0x10, "uninit_bg"),
        (0x20, "dir_nlink"), (0x40, "extra_isize"), (0x100, "quota"),
        (Feature.bigalloc, "bigalloc"), (0x400, "metadata_csum"), (Feature.readOnly, "read-only"),
        (0x2000, "project"), (Feature.verity, "verity"), (0x1_0000, "orphan_present"),
    ]

    /// Nil where there is no such superblock.
    static func describe(
        _ raw: [UInt8], deviceSizeBytes: UInt64, logicalBlockSizeBytes: UInt32
    ) -> FileSystemDescription? {
        let bytes = SuperblockBytes(bytes: raw, isBigEndian: false)
        guard raw.count >= byteCount, bytes.integer(0x38) == magic else { return nil }
        let logBlockSize: UInt32 = bytes.integer(0x18)
        guard logBlockSize <= 6 else { return nil }
        let blockSize: UInt64 = 1024 << UInt64(logBlockSize)
        let incompatibleMask: UInt32 = bytes.integer(0x60)
        let high: UInt32 = incompatibleMask & 0x80 != 0 ? bytes.integer(0x150) : 0
        let blocks = UInt64(high) << 32 | UInt64(bytes.integer(0x4, as: UInt32.self))
        let (size, overflow) = blocks.multipliedReportingOverflow(by: blockSize)
        // ext4 knows no sectors: its smallest I/O is a block.
        var found = FileSystemDescription(
            kind: .ext4, uuid: bytes.uuid(0x68), label: bytes.text(0x78, 16), features: [],
            blockSizeBytes: blockSize, sectorSizeBytes: blockSize,
            sizeBytes: overflow ? .max : size)
        found.checkSizes(
            deviceSizeBytes: deviceSizeBytes, logicalBlockSizeBytes: logicalBlockSizeBytes)
        let compatibleMask: UInt32 = bytes.integer(0x5c)
        let readOnlyMask: UInt32 = bytes.integer(0x64)
        found.features += compatible.filter { compatibleMask & $0.bit != 0 }.map(\.name)
        found.take(incompatibleMask, known: incompatible, unknown: "incompatible")
        found.take(readOnlyMask, known: readOnlyCompatible, unknown: "read-only compatible")
        checkJournal(bytes, compatibleMask, incompatibleMask, &found)
        checkFeatures(incompatibleMask, readOnlyMask, &found)
        checkState(bytes, &found)
        return found
    }

    private static func checkJournal(
        _ bytes: SuperblockBytes, _ compatibleMask: UInt32, _ incompatibleMask: UInt32,
        _ found: inout FileSystemDescription
    ) {
        if incompatibleMask & Feature.journalDevice != 0 {
            found.refusals.append("it is the journal of another device's file system")
        } else if compatibleMask & Feature.hasJournal == 0 {
            found.refusals.append(
                "it has no journal, so a crash would damage it; add one with tune2fs -j")
        } else if bytes.integer(0xe0, as: UInt32.self) == 0
            || bytes.integer(0xe4, as: UInt32.self) != 0
        {
            found.refusals.append(
                "its journal is on another device; a volume is one LUN: make it internal with "
                    + "tune2fs -O ^has_journal and tune2fs -j")
        }
        let (modeMask, dataMode, writebackMode): (UInt32, UInt32, UInt32) = (0x60, 0x20, 0x60)
        let mode = bytes.integer(0x100, as: UInt32.self) & modeMask
        let options = bytes.text(0x200, 64)
        if mode == dataMode || options.contains("data=journal") {
            found.refusals.append(
                "its default mount options ask for data=journal, and such data is never direct; "
                    + "take it out with tune2fs -o ^journal_data")
        } else if mode == writebackMode || options.contains("data=writeback") {
            found.notes.append("it asks for data=writeback; a volume is mounted data=ordered")
        }
        if !options.isEmpty {
            found.notes.append("its superblock asks for the mount options \(options)")
        }
    }

    private static func checkFeatures(
        _ incompatibleMask: UInt32, _ readOnlyMask: UInt32, _ found: inout FileSystemDescription
    ) {
        if incompatibleMask & Feature.extents == 0 {
            found.refusals.append("its files are not mapped by extents; convert it to ext4 first")
        }
        if readOnlyMask & Feature.readOnly != 0 {
            found.refusals.append("it is marked read-only (tune2fs -O ^read-only takes that away)")
        }
        if incompatibleMask & Feature.multiMount != 0 {
            found.notes.append(
                "it has multi-mount protection, so that each change of the coordinator waits for "
                    + "its interval; Covolume does not need it: tune2fs -O ^mmp")
        }
        if incompatibleMask & Feature.inlineData != 0 {
            found.notes.append("files inside their inodes (inline_data) are never direct")
        }
        if incompatibleMask & Feature.encrypt != 0 {
            found.notes.append("encrypted files are never direct, and show without their key")
        }
        if readOnlyMask & Feature.verity != 0 {
            found.notes.append("files sealed by fs-verity are never direct")
        }
        if readOnlyMask & Feature.bigalloc != 0 {
            found.notes.append("it allocates in clusters of several blocks (bigalloc)")
        }
    }

    private static func checkState(
        _ bytes: SuperblockBytes, _ found: inout FileSystemDescription
    ) {
        let errorsSeen: UInt16 = 0x2
        if bytes.integer(0x3a, as: UInt16.self) & errorsSeen != 0 {
            found.refusals.append("it has recorded errors; run e2fsck on it first")
        }
    }
}
