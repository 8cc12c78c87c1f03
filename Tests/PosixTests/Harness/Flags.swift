import CLinux
import Glibc

/// Flags of system calls that Swift does not import, from the kernel's headers.
enum Flags {
    // openat(2); those that differ between architectures come from C.
    static let direct = covol_o_direct
    static let directory = covol_o_directory
    static let unnamed = covol_o_tmpfile
    static let path: Int32 = 0o10000000

    // linux/fcntl.h
    static let symlinkNoFollow: Int32 = 0x100
    static let removeDirectory: Int32 = 0x200
    static let symlinkFollow: Int32 = 0x400
    static let emptyPath: Int32 = 0x1000

    // linux/fs.h: renameat2(2)
    static let noReplace: Int32 = 1
    static let exchange: Int32 = 2
    static let whiteout: Int32 = 4

    // linux/falloc.h
    static let keepSize: Int32 = 1
    static let punchHole: Int32 = 3  // with KEEP_SIZE, without which it is EOPNOTSUPP
    static let collapseRange: Int32 = 8
    static let zeroRange: Int32 = 16
    static let insertRange: Int32 = 32

    // lseek(2)
    static let seekData: Int32 = 3
    static let seekHole: Int32 = 4

    // fcntl(2): locks of the open file description
    static let getDescriptionLock: Int32 = 36
    static let setDescriptionLock: Int32 = 37
    static let setDescriptionLockWait: Int32 = 38

    // setxattr(2)
    static let createOnly: Int32 = 1
    static let replaceOnly: Int32 = 2

    // pwritev2(2)
    static let synchronousData: Int32 = 2
    static let append: Int32 = 0x10

    // utimensat(2)
    static let now = (1 << 30) - 1
    static let omit = (1 << 30) - 2
}
