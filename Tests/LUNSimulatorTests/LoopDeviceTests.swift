import Foundation
import Glibc
import LUNSimulator
import Testing

/// A block device over a path: what the coordinator mounts.
@Suite(
    .enabled(if: LUNFixture.canMount, "needs root and /dev/fuse"),
    .enabled(if: access("/dev/loop-control", R_OK | W_OK) == 0, "needs loop devices"),
    .enabled(if: access("/sbin/mkfs.xfs", X_OK) == 0, "needs xfsprogs"), .serialized,
    .timeLimit(.minutes(2)))
struct LoopDeviceTests {
    @discardableResult
    private func run(_ words: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: data, as: UTF8.self)
        try #require(process.terminationStatus == 0, "\(words): \(text)")
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Attached with direct I/O; detached when the body ends, mounted or not.
    private func withLoop(_ path: String, _ body: (String) throws -> Void) throws {
        let device = try run("losetup", "-f", "--show", "--direct-io=on", path)
        defer { _ = try? run("losetup", "-d", device) }
        let name = device.dropFirst("/dev/".count)
        let direct = try String(contentsOfFile: "/sys/block/\(name)/loop/dio", encoding: .utf8)
        #expect(direct.hasPrefix("1"))
        try body(device)
    }

    private func withMount(
        _ device: String, _ fixture: LUNFixture, _ body: (String) throws -> Void
    ) throws {
        let point = fixture.directory + "/mnt"
        try #require(mkdir(point, 0o755) == 0)
        defer { rmdir(point) }
        try run("mount", device, point)
        defer { umount2(point, 0) }
        try body(point)
    }

    @Test func aFileSystemMovesFromPathToPath() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let content = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
        try withLoop(fixture.path(1)) { device in
            try run("mkfs.xfs", "-q", "-f", device)
            try withMount(device, fixture) { point in
                try Data(content).write(to: URL(fileURLWithPath: point + "/file"))
            }
        }
        try withLoop(fixture.path(2)) { device in
            try withMount(device, fixture) { point in
                let read = try Data(contentsOf: URL(fileURLWithPath: point + "/file"))
                #expect(Array(read) == content)
            }
            try run("xfs_repair", "-n", device)
        }
        #expect(try fixture.status(3)["counters"] as? [String: Int] == LoopDeviceTests.untouched)
    }

    private static let untouched = [
        "reads": 0, "readBytes": 0, "writes": 0, "writtenBytes": 0, "discards": 0, "flushes": 0,
        "failed": 0, "conflicts": 0,
    ]

    /// A cut takes from a mounted file system what its kernel had not written yet.
    @Test func aCutLosesWhatWasNotWritten() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try withLoop(fixture.path(1)) { device in
            try run("mkfs.xfs", "-q", "-f", device)
            try withMount(device, fixture) { point in
                try run("sh", "-c", "echo kept > \(point)/kept; sync -f \(point)")
                try run("sh", "-c", "echo lost > \(point)/lost")
                try fixture.fault(1, "cut")
            }
        }
        try fixture.fault(1, "restore")
        try withLoop(fixture.path(2)) { device in
            try withMount(device, fixture) { point in
                #expect(access(point + "/kept", F_OK) == 0)
                #expect(access(point + "/lost", F_OK) == -1)
            }
        }
    }
}
