import Glibc
import Testing

@testable import BlockDevice

/// A directory of sparse image files, removed with all that is in it.
struct ImageFixture: ~Copyable {
    static var isRoot: Bool { geteuid() == 0 }

    let directory: String

    init() throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/covolume-block-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { _ = system("rm -rf -- '\(directory)'") }

    /// mkfs.xfs wants 300 MiB.
    func image(_ name: String = "lun", sizeBytes: UInt64 = 320 << 20) throws -> String {
        let path = "\(directory)/\(name)"
        let fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        try #require(fd >= 0)
        defer { close(fd) }
        try #require(ftruncate(fd, off_t(sizeBytes)) == 0)
        return path
    }

    func write(_ bytes: [UInt8], to path: String, at offset: UInt64) throws {
        let fd = open(path, O_RDWR | O_CLOEXEC)
        try #require(fd >= 0)
        defer { close(fd) }
        try #require(pwrite(fd, bytes, bytes.count, off_t(offset)) == bytes.count)
    }

    func read(_ path: String, at offset: UInt64, count: Int) throws -> [UInt8] {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        try #require(fd >= 0)
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: count)
        try #require(pread(fd, &bytes, count, off_t(offset)) == count)
        return bytes
    }

    /// Runs a shell command that must succeed; its output goes into the directory.
    func shell(_ command: String) throws {
        try #require(
            system("{ \(command); } >'\(directory)/output' 2>&1 </dev/null") == 0, "\(command)")
    }
}

/// Why something is refused; empty where it is not.
func reasons(_ suitability: Suitability) -> String {
    if case .refused(let reasons) = suitability { reasons.joined(separator: "\n") } else { "" }
}
