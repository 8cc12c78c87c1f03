import CLinux
import Glibc

/// System calls that Swift's Glibc leaves out, with results as in C: -1, and errno says why.
enum Linux {
    static func fallocate(_ file: Int32, _ mode: Int32, _ offset: Int, _ length: Int) -> Int32 {
        result(covol_fallocate(file, mode, UInt64(offset), UInt64(length)))
    }

    static func rename(_ from: String, _ to: String, flags: UInt32) -> Int32 {
        result(covol_renameat2(AT_FDCWD, from, AT_FDCWD, to, flags))
    }

    /// SEEK_DATA or SEEK_HOLE.
    static func seek(_ file: Int32, _ offset: Int, _ whence: Int32) -> Int {
        let found = covol_lseek(file, Int64(offset), whence)
        if found >= 0 { return Int(found) }
        errno = Int32(-found)
        return -1
    }

    private typealias CopyFileRange =
        @convention(c) (
            Int32, UnsafeMutablePointer<Int64>?, Int32, UnsafeMutablePointer<Int64>?, Int, UInt32
        ) -> Int

    /// copy_file_range(2).
    static func copy(_ source: Int32, _ from: Int, _ target: Int32, _ to: Int, _ length: Int) -> Int
    {
        guard let symbol = dlsym(nil, "copy_file_range") else {
            preconditionFailure("the C library has no copy_file_range")
        }
        let function = unsafeBitCast(symbol, to: CopyFileRange.self)
        var (input, output) = (Int64(from), Int64(to))
        return function(source, &input, target, &output, length, 0)
    }

    private static func result(_ value: Int32) -> Int32 {
        if value >= 0 { return value }
        errno = -value
        return -1
    }
}
