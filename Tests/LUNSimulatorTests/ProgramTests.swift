import Foundation
import Glibc
import Testing

/// The program `covol-lun` as a lab runs it.
@Suite(
    .enabled(if: LUNFixture.canMount, "needs root and /dev/fuse"),
    .enabled(if: access(Program.path, X_OK) == 0, "needs covol-lun beside the tests"),
    .serialized, .timeLimit(.minutes(1)))
final class ProgramTests {
    private let directory = "/tmp/covol-lun-\(UUID().uuidString.prefix(13))"
    private var processes: [Process] = []

    init() throws {
        try #require(mkdir(directory, 0o755) == 0)
        let image = open(directory + "/image", O_RDWR | O_CREAT, 0o600)
        try #require(ftruncate(image, 1 << 20) == 0)
        close(image)
    }

    deinit {
        for process in processes where process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        for name in ["node1", "node2"] { umount2("\(directory)/lun/\(name)", Int32(MNT_DETACH)) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Started, with its first line of output.
    private func start(_ more: [String] = []) throws -> (process: Process, line: String) {
        let process = Process()
        process.executableURL = URL(filePath: Program.path)
        process.arguments =
            [
                "--image", directory + "/image", "--mount", directory + "/lun", "--control",
                directory + "/lun.sock", "--paths", "node1,node2", "--log-level", "error",
            ] + more
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        processes.append(process)
        var text = Data()
        while text.last != UInt8(ascii: "\n") {
            let piece = output.fileHandleForReading.availableData
            guard !piece.isEmpty else { break }
            text += piece
        }
        return (process, String(decoding: text, as: UTF8.self))
    }

    private func ask(_ line: String) throws {
        var address = try #require(UnixAddressForTests(directory + "/lun.sock"))
        let number = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        try #require(address.connect(number) == 0)
        _ = send(number, line + "\n", line.utf8.count + 1, Int32(MSG_NOSIGNAL))
        #expect(String(decoding: LUNFixture.readLine(number), as: UTF8.self) == "{\"ok\":true}\n")
    }

    @Test func aSignalEndsItAndFailsWhatHangs() throws {
        let (process, line) = try start(["--log", directory + "/writes.log"])
        #expect(line == "ready\n")
        let path = directory + "/lun/node1"
        #expect(PathIO.write(path, 1, at: 0) == 0)
        try ask(#"{"command":"fault","path":"node1","kind":"hang"}"#)
        let read = Pending { PathIO.read(path, at: 0).error }
        usleep(100_000)
        #expect(read.now == nil)
        kill(process.processIdentifier, SIGTERM)
        #expect(eventually(seconds: 10) { !process.isRunning })
        #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
        #expect(read.wait() == EIO)
        #expect(access(directory + "/lun", F_OK) == -1)
        #expect(access(directory + "/lun.sock", F_OK) == -1)
        let log = try String(contentsOfFile: directory + "/writes.log", encoding: .utf8)
        #expect(log.split(separator: "\n").count == 1)
    }

    @Test func itStartsAfterItWasKilled() throws {
        let first = try start()
        #expect(first.line == "ready\n")
        #expect(PathIO.write(directory + "/lun/node1", 7, at: 0) == 0)
        let second = try start()
        #expect(second.line.contains("in use by another simulator"))
        #expect(eventually(seconds: 10) { !second.process.isRunning })
        #expect(second.process.terminationStatus == 1)
        kill(first.process.processIdentifier, SIGKILL)
        first.process.waitUntilExit()
        #expect(PathIO.read(directory + "/lun/node2", at: 0).error != 0)
        let third = try start()
        #expect(third.line == "ready\n")
        #expect(PathIO.read(directory + "/lun/node2", at: 0).bytes.first == 7)
        kill(third.process.processIdentifier, SIGTERM)
        #expect(eventually(seconds: 10) { !third.process.isRunning })
    }
}

/// Where the program is built: beside the tests.
private enum Program {
    static let path: String = {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = max(0, readlink("/proc/self/exe", &buffer, buffer.count))
        let own = String(decoding: buffer[..<count], as: UTF8.self)
        return URL(filePath: own).deletingLastPathComponent().path + "/covol-lun"
    }()
}
