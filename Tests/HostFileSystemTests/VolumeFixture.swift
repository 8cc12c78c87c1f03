import BlockDevice
import CLinux
import Glibc
import Testing
import VolumeModel

@testable import HostFileSystem

/// A fresh file system in an image file, on a loop device with direct I/O, mounted privately.
final class VolumeFixture {
    static let kinds = FileSystemKind.allCases
    static var isRoot: Bool { geteuid() == 0 }

    let kind: FileSystemKind
    let directory: String
    let image: String
    let loop: LoopDevice
    let volume: HostVolume
    let creator = Creator(userID: 1000, groupID: 1001, umask: 0o022)

    var root: FileHandle { volume.rootHandle }

    /// Runs a test on a fixture, takes everything down in reverse order, also when the test failed,
    /// proves the unmount and has the file system checked.
    static func run(
        _ kind: FileSystemKind, isChecked: Bool = true, _ body: (VolumeFixture) throws -> Void
    ) throws {
        // A thread of the shared pool: what it may do must not outlast the test.
        let securebits = covol_thread_get_securebits()
        try HostThread.prepare()
        defer { _ = covol_thread_set_securebits(securebits) }
        let directory = try makeDirectory()
        defer { removeTree(directory) }
        let image = directory + "/lun"
        try makeImage(image)
        try FileSystemMaker.format(image, kind: kind, label: "test")
        let loop = try LoopDevice(attaching: image)
        do {
            let volume = try HostVolume.mount(device: loop.path, kind: kind)
            let fixture = VolumeFixture(kind, directory, image, loop, volume)
            do {
                try body(fixture)
            } catch {
                volume.close()
                throw error
            }
            volume.close()
            try HostVolume.proveUnmounted(device: loop.path)
        } catch {
            try? loop.detach()
            throw error
        }
        try loop.detach()
        if isChecked { checkFileSystem(image, kind) }
    }

    private init(
        _ kind: FileSystemKind, _ directory: String, _ image: String, _ loop: LoopDevice,
        _ volume: HostVolume
    ) {
        self.kind = kind
        self.directory = directory
        self.image = image
        self.loop = loop
        self.volume = volume
    }

    static func makeDirectory() throws -> String {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(base)/covolume-host-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Sparse; mkfs.xfs wants 300 MiB.
    static func makeImage(_ path: String, sizeBytes: UInt64 = 320 << 20) throws {
        let fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        try #require(fd >= 0)
        defer { close(fd) }
        try #require(ftruncate(fd, off_t(sizeBytes)) == 0)
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

    static func checkFileSystem(_ image: String, _ kind: FileSystemKind) {
        let command =
            kind == .xfs ? "xfs_repair -n -f \(image)" : "e2fsck -fn \(image)"
        #expect(system("\(command) >\(image).fsck 2>&1") == 0, "the file system is damaged")
    }

    /// Bytes of the image itself, read as another node would.
    func lunBytes(_ range: ByteRange) throws -> [UInt8] {
        let fd = open(image, O_RDONLY | O_CLOEXEC)
        try #require(fd >= 0)
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: Int(range.lengthBytes))
        try #require(pread(fd, &bytes, bytes.count, off_t(range.startBytes)) == bytes.count)
        return bytes
    }

    func write(_ file: FileHandle, at offset: UInt64, _ bytes: [UInt8]) throws {
        let count = try bytes.withUnsafeBytes {
            try volume.write(file, offsetBytes: offset, $0)
        }
        try #require(count == bytes.count)
    }

    func read(_ file: FileHandle, at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: count)
        let got = try bytes.withUnsafeMutableBytes {
            try volume.read(file, offsetBytes: offset, into: $0)
        }
        return Array(bytes[..<got])
    }

    func create(_ name: String) throws -> FileHandle {
        try volume.create(Array(name.utf8), in: root, mode: 0o644, creator: creator).handle
    }

    func map(_ file: FileHandle) throws -> [Extent] {
        try volume.map(file, .everything, maximumExtents: 4096).extents
    }

    /// The same numbers for the same seed.
    static func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state >> 32)
        }
    }
}

/// The error number that a call throws; 0 where it throws none.
func code(_ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return 0
    } catch let error as ErrorCode {
        return error.number
    } catch {
        return -1
    }
}
