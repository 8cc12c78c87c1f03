import Testing

/// A file's attributes, from statx(2).
struct FileStatus: Equatable {
    /// A time of the file's. Only the order and equality matter.
    struct Time: Comparable {
        var seconds: Int64
        var nanoseconds: UInt32

        static func < (left: Time, right: Time) -> Bool {
            (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
        }
    }

    var mode: UInt16
    var links: UInt32
    var uid: UInt32
    var gid: UInt32
    var inode: UInt64
    var size: UInt64
    var blocks: UInt64
    var atime: Time
    var mtime: Time
    var ctime: Time
    var deviceMajor: UInt32
    var deviceMinor: UInt32

    static let lengthBytes = 256

    /// - Parameter bytes: a `struct statx` of linux/stat.h.
    init(_ bytes: [UInt8]) {
        func time(_ offset: Int) -> Time {
            Time(seconds: decoded(bytes, at: offset), nanoseconds: decoded(bytes, at: offset + 8))
        }
        mode = decoded(bytes, at: 28)
        links = decoded(bytes, at: 16)
        uid = decoded(bytes, at: 20)
        gid = decoded(bytes, at: 24)
        inode = decoded(bytes, at: 32)
        size = decoded(bytes, at: 40)
        blocks = decoded(bytes, at: 48)
        atime = time(64)
        mtime = time(112)
        ctime = time(96)
        deviceMajor = decoded(bytes, at: 128)
        deviceMinor = decoded(bytes, at: 132)
    }

    /// The permission, set-id and sticky bits.
    var permissions: Int { Int(mode & 0o7777) }
    var kind: Kind? { Kind(rawValue: Int32(mode & 0o170000)) }

    /// The file's type, as in its mode.
    enum Kind: Int32 {
        case fifo = 0o010000
        case character = 0o020000
        case directory = 0o040000
        case block = 0o060000
        case regular = 0o100000
        case link = 0o120000
        case socket = 0o140000
    }
}
