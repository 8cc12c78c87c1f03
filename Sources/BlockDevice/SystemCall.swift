import CLinux
import Glibc
import VolumeModel

/// A file descriptor with one owner, closed with it.
struct OpenFile: ~Copyable {
    let number: Int32

    /// Opens a path with O_CLOEXEC, open(2).
    init(_ path: String, flags: Int32) throws(ErrorCode) {
        let result = covol_block_open(path, flags)
        guard result >= 0 else { throw ErrorCode(-result) }
        number = result
    }

    /// Takes ownership of `number`.
    init(owning number: Int32) { self.number = number }

    deinit { _ = covol_close(number) }

    var status: covol_stat {
        get throws(ErrorCode) {
            var status = covol_stat()
            try checked(covol_statx(number, &status))
            return status
        }
    }
}

/// The result of a call of `CLinux`, which is `-errno` on failure.
@discardableResult
func checked(_ result: Int32) throws(ErrorCode) -> Int32 {
    guard result >= 0 else { throw ErrorCode(-result) }
    return result
}

/// The first 64 KiB of a file of the kernel's (proc(5), sysfs(5)); nil where it cannot be read.
func readSmallFile(_ path: String) -> String? {
    guard let file = try? OpenFile(path, flags: covol_o_rdonly) else { return nil }
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    var length = 0
    while length < buffer.count {
        let got = buffer.withUnsafeMutableBytes { bytes in
            read(file.number, bytes.baseAddress! + length, bytes.count - length)
        }
        if got < 0 { return nil }
        if got == 0 { break }
        length += got
    }
    return String(decoding: buffer[..<length], as: UTF8.self)
}

/// The names in a directory of the kernel's, sorted; none where it cannot be read.
func directoryNames(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

extension ErrorCode {
    /// The C library's words for the number, strerror(3).
    var text: String {
        var buffer = [CChar](repeating: 0, count: 256)
        _ = strerror_r(number, &buffer, buffer.count)
        let bytes = buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        return String(decoding: bytes, as: UTF8.self)
    }
}
