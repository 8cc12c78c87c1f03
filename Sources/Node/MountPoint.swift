import Foundation
import Glibc

/// The folders that volumes are shown at.
enum MountPoint {
    /// Makes the folder, or takes an empty one that is there; a mount that a dead daemon left at it is
    /// taken away first.
    static func make(_ path: String) throws {
        removeLeft(path)
        if mkdir(path, 0o755) == 0 { return }
        guard errno == EEXIST else {
            throw NodeError("\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        guard let directory = opendir(path) else {
            throw NodeError("\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Its own two names are no content.
        guard count <= 2 else { throw NodeError("\(path) is there and not empty") }
    }

    /// Takes away the mounts that dead daemons left at a path; what was under way in them has failed
    /// with their daemons.
    static func removeLeft(_ path: String) {
        while isLeftMount(path), umount2(path, Int32(MNT_DETACH)) == 0 {}
    }

    static func remove(_ path: String) { rmdir(path) }

    /// A mount of ours at the path; a daemon that asks has none there itself.
    private static func isLeftMount(_ path: String) -> Bool {
        readAll("/proc/self/mountinfo").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 && fields[4] == path && line.contains(" fuse.covolume ")
        }
    }

    /// A file of proc(5) whole: each read gives what fits, and only an empty one is the end.
    private static func readAll(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
