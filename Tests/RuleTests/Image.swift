import Glibc
import Testing
import VolumeModel

/// Image files that stand for LUNs.
enum Image {
    /// mkfs.xfs wants 300 MiB.
    static let sizeBytes: UInt64 = 320 << 20

    static func makeDirectory() throws -> String {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/covolume-rules-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Sparse.
    static func make(_ path: String, sizeBytes: UInt64) throws {
        let fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        try #require(fd >= 0)
        defer { close(fd) }
        try #require(ftruncate(fd, off_t(sizeBytes)) == 0)
    }

    /// Copies the image's bytes as they are now, holes as holes.
    static func copy(_ path: String, to target: String) throws {
        let source = open(path, O_RDONLY | O_CLOEXEC)
        try #require(source >= 0)
        defer { close(source) }
        let size = lseek(source, 0, SEEK_END)
        try make(target, sizeBytes: UInt64(size))
        let copy = open(target, O_WRONLY | O_CLOEXEC)
        try #require(copy >= 0)
        defer { close(copy) }
        let (seekData, seekHole): (Int32, Int32) = (3, 4)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var position: off_t = 0
        while true {
            let start = lseek(source, position, seekData)
            if start < 0 { break }
            let end = lseek(source, start, seekHole)
            position = start
            while position < end {
                let got = pread(source, &buffer, min(buffer.count, Int(end - position)), position)
                try #require(got > 0)
                try #require(pwrite(copy, buffer, got, position) == got)
                position += off_t(got)
            }
        }
    }

    static func check(_ image: String, _ kind: FileSystemKind) {
        let command = kind == .xfs ? "xfs_repair -n -f \(image)" : "e2fsck -fn \(image)"
        #expect(
            run("\(command) >\(image).fsck 2>&1") == 0,
            "the file system is damaged: \(text(of: image + ".fsck"))")
    }

    /// The exit status of a shell command.
    static func run(_ command: String) -> Int32 { system(command) }

    static func text(of path: String) -> String {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return "" }
        defer { close(fd) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let got = Glibc.read(fd, &buffer, buffer.count)
            guard got > 0 else { break }
            text += buffer[..<got]
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func removeTree(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { _ = unlink("\(path)/\(name)") }
            }
            closedir(directory)
        }
        _ = rmdir(path)
    }
}

/// The same bytes for the same seed; never a whole block of zeros.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 32)
    }
}
