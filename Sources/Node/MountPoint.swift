import Foundation
import Glibc

/// The folders that volumes are shown at.
enum MountPoint {
    /// Makes the folder, or takes an empty one that is there; a mount that a dead daemon left at it is
    /// taken away first.
    static func make(_ path: String) throws {
        if let mounted = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8),
            mounted.split(separator: "\n").contains(where: { line in
                let fields = line.split(separator: " ")
                return fields.count > 4 && fields[4] == path && line.contains(" fuse.covolume ")
            })
        {
            umount2(path, Int32(MNT_DETACH))
        }
        if mkdir(path, 0o755) == 0 { return }
        guard errno == EEXIST else {
            throw NodeError("\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        let entries = try FileManager.default.contentsOfDirectory(atPath: path)
        guard entries.isEmpty else { throw NodeError("\(path) is there and not empty") }
    }

    static func remove(_ path: String) { rmdir(path) }
}
