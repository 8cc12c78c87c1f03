import CLinux
import VolumeModel

/// The size of a block device or image file.
struct Geometry {
    let isBlockDevice: Bool
    let sizeBytes: UInt64
    /// The smallest I/O: 512 for an image file.
    let logicalBlockSizeBytes: UInt32
    /// Device and inode number: of the image file, or of the block device itself with inode 0.
    let identity: Identity

    struct Identity: Hashable {
        let major: UInt32
        let minor: UInt32
        let inode: UInt64
    }

    /// - Throws: ENOTBLK for what is neither a block device nor a regular file.
    init(_ file: borrowing OpenFile) throws(ErrorCode) {
        let status = try file.status
        switch FileKind(rawValue: status.mode & FileKind.mask) {
        case .blockDevice:
            var size: UInt64 = 0
            var logical: UInt32 = 0
            try checked(covol_block_size(file.number, &size))
            try checked(covol_block_logical_size(file.number, &logical))
            isBlockDevice = true
            sizeBytes = size
            logicalBlockSizeBytes = logical
            identity = Identity(major: status.rdev_major, minor: status.rdev_minor, inode: 0)
        case .regular:
            isBlockDevice = false
            sizeBytes = status.size
            logicalBlockSizeBytes = 512
            identity = Identity(
                major: status.dev_major, minor: status.dev_minor, inode: status.inode)
        default:
            throw ErrorCode(15)
        }
    }
}
