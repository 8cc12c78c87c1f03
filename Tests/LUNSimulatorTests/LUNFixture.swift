import CLinux
import Foundation
import Glibc
import LUNSimulator
import Logging
import Synchronization
import Testing

/// A served LUN with the paths `node1`, `node2` and `node3`, in a directory of its own. ``end()``
/// leaves nothing behind.
final class LUNFixture: Sendable {
    static var canMount: Bool { geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0 }

    static let sizeBytes = 320 << 20

    let directory: String
    let image: String
    let lun: SimulatedLUN
    let control: ControlServer

    var socket: String { directory + "/lun.sock" }
    func path(_ number: Int) -> String { directory + "/lun/node\(number)" }

    init(log: Bool = false) throws {
        let unique = "covol-lun-\(getpid())-\(UInt32.random(in: .min ... .max))"
        directory = "/tmp/" + unique
        image = "/dev/shm/" + unique
        try #require(mkdir(directory, 0o755) == 0)
        let descriptor = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        ftruncate(descriptor, off_t(Self.sizeBytes))
        close(descriptor)
        var configuration = LUNConfiguration(
            image: image, directory: directory + "/lun", paths: ["node1", "node2", "node3"],
            socket: directory + "/lun.sock")
        if log { configuration.log = directory + "/writes.log" }
        var logger = Logger(label: "covolume.lun.tests")
        logger.logLevel = .error
        do {
            lun = try SimulatedLUN.start(configuration, logger: logger)
            control = try ControlServer.start(lun)
        } catch {
            unlink(image)
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
    }

    func end() {
        control.stop()
        lun.stop()
        unlink(image)
        unlink(directory + "/writes.log")
        #expect(rmdir(directory) == 0, "something is left in \(directory)")
    }

    // MARK: The control socket

    /// A connection, not read yet.
    func connection() throws -> Int32 {
        var address = try #require(UnixAddressForTests(socket))
        let number = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let result = address.connect(number)
        try #require(result == 0)
        return number
    }

    /// One line there, one line back, as JSON.
    func ask(_ request: [String: Any]) throws -> [String: Any] {
        let line = try JSONSerialization.data(withJSONObject: request)
        return try ask(Array(line))
    }

    func ask(_ line: [UInt8]) throws -> [String: Any] {
        let number = try connection()
        defer { close(number) }
        let bytes = line + [UInt8(ascii: "\n")]
        #expect(send(number, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        let answer = Self.readLine(number)
        return try #require(
            JSONSerialization.jsonObject(with: Data(answer)) as? [String: Any],
            "\(String(decoding: answer, as: UTF8.self))")
    }

    static func readLine(_ number: Int32) -> [UInt8] {
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while answer.last != UInt8(ascii: "\n") {
            let count = recv(number, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return answer
    }

    func fault(_ number: Int, _ kind: String, milliseconds: Int = 0) throws {
        let answer = try ask([
            "command": "fault", "path": "node\(number)", "kind": kind,
            "milliseconds": milliseconds,
        ])
        #expect(answer["ok"] as? Bool == true, "\(answer)")
    }

    func status(_ number: Int) throws -> [String: Any] {
        let paths = try ask(["command": "status"])["paths"] as? [[String: Any]]
        return try #require(paths)[number - 1]
    }

    func held(_ number: Int) throws -> Int { try #require(status(number)["held"] as? Int) }

    /// A PERSISTENT RESERVE OUT; the status byte.
    func reserveOut(
        _ action: UInt8, type: UInt8 = 0, key: UInt64, service: UInt64 = 0, by number: Int
    ) throws -> Int {
        let answer = try ask([
            "command": "scsi", "path": "node\(number)",
            "cdb": Self.hexadecimal(CDB.reserveOut(action, type: type)),
            "data": Self.hexadecimal(CDB.parameters(key: key, service: service)),
        ])
        return try #require(answer["status"] as? Int, "\(answer)")
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String(format: "%02x", $0) }.joined()
    }

    /// All paths registered with 0x10 and their number, and reserved for all registrants.
    func reserveForAll() throws {
        for number in 1...3 {
            #expect(try reserveOut(6, key: 0, service: 0x10 + UInt64(number), by: number) == 0)
        }
        #expect(try reserveOut(1, type: 8, key: 0x11, by: 1) == 0)
    }
}

/// An address of unix(7).
struct UnixAddressForTests {
    private var address = sockaddr_un()

    init?(_ path: String) {
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    }

    mutating func connect(_ number: Int32) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            // Sound: connect(2) takes any address as a sockaddr with its true size.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// What a call that may block comes to: it runs on a thread of its own.
final class Pending<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    init(_ body: @escaping @Sendable () -> Value) {
        let thread = Thread { self.finish(body()) }
        thread.stackSize = 1 << 20
        thread.start()
    }

    private func finish(_ result: Value) { value.withLock { $0 = result } }

    var now: Value? { value.withLock { $0 } }

    /// Nil where it took longer.
    func wait(seconds: Double = 20) -> Value? {
        _ = eventually(seconds: seconds) { now != nil }
        return now
    }
}

/// Waits until `condition` holds; false where it took longer.
func eventually(seconds: Double = 20, _ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<Int(seconds * 500) {
        if try condition() { return true }
        usleep(2000)
    }
    return try condition()
}

/// I/O on a path's file with a descriptor of its own, O_DIRECT; 0, or the error's number.
enum PathIO {
    static func write(_ path: String, _ byte: UInt8, at offset: Int, count: Int = 4096) -> Int32 {
        transfer(path, offset, count, fill: byte) { descriptor, memory in
            pwrite(descriptor, memory.baseAddress!, count, off_t(offset))
        }.error
    }

    /// The bytes; empty after an error.
    static func read(
        _ path: String, at offset: Int, count: Int = 4096
    ) -> (error: Int32, bytes: [UInt8]) {
        transfer(path, offset, count, fill: 0) { descriptor, memory in
            pread(descriptor, memory.baseAddress!, count, off_t(offset))
        }
    }

    private static func transfer(
        _ path: String, _ offset: Int, _ count: Int, fill: UInt8,
        _ body: (Int32, UnsafeMutableRawBufferPointer) -> Int
    ) -> (error: Int32, bytes: [UInt8]) {
        let descriptor = open(path, O_RDWR | covol_o_direct | O_CLOEXEC)
        guard descriptor >= 0 else { return (errno, []) }
        defer { close(descriptor) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        defer { memory.deallocate() }
        memset(memory.baseAddress!, Int32(fill), count)
        let result = body(descriptor, memory)
        guard result == count else { return (result < 0 ? errno : EIO, []) }
        return (0, Array(memory))
    }
}
