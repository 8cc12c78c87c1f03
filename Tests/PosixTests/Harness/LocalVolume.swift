import Foundation
import LabKit

/// A file system of the kernel's own on an image in memory, mounted as any other.
struct LocalVolume: Sendable {
    let image: String
    let mountPoint: String

    static func make(_ fileSystem: LabFileSystem) async throws -> LocalVolume {
        let name = "covol-posix-\(getpid())-\(fileSystem.rawValue)"
        let volume = LocalVolume(image: "/dev/shm/\(name).img", mountPoint: "/tmp/\(name)")
        try FileManager.default.createDirectory(
            atPath: volume.mountPoint, withIntermediateDirectories: false)
        do {
            try await volume.run(["truncate", "--size=1G", volume.image])
            try await volume.run(["mkfs.\(fileSystem.rawValue)", "-q", volume.image])
            try await volume.run([
                "mount", "-o", "loop,noatime", "-t", fileSystem.rawValue, volume.image,
                volume.mountPoint,
            ])
        } catch {
            try? await volume.remove()
            throw error
        }
        return volume
    }

    func remove() async throws {
        defer {
            unlink(image)
            rmdir(mountPoint)
        }
        try await run(["umount", mountPoint])
    }

    private func run(_ words: [String]) async throws {
        let result = try await Command(words).run()
        guard result.status == 0 else {
            throw LabError(.commandFailed, "\(words.joined(separator: " ")): \(result.stderr)")
        }
    }
}
