import Foundation
import Glibc
import LUNSimulator
import Logging
import Synchronization
import Testing
import VolumeModel

@testable import Fencing

/// A simulated LUN with the paths node1 and node2, and its control socket, gone with its owner.
private final class SimulatedFixture: Sendable {
    private let directory = "/tmp/covol-fence-\(UUID().uuidString.prefix(13))"
    private let lun: SimulatedLUN
    private let server: ControlServer
    private let socket: String

    init(supportsPersistence: Bool = true) throws {
        socket = "\(directory)/control.sock"
        try FileManager.default.createDirectory(
            atPath: "\(directory)/lun", withIntermediateDirectories: true)
        try Data(count: 1 << 20).write(to: URL(filePath: "\(directory)/image"))
        var configuration = LUNConfiguration(
            image: "\(directory)/image", directory: "\(directory)/lun",
            paths: ["node1", "node2"], socket: socket)
        configuration.supportsPersistence = supportsPersistence
        lun = try SimulatedLUN.start(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        server = try ControlServer.start(lun)
    }

    deinit {
        server.stop()
        lun.stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    func path(_ name: String, timeoutSeconds: Double = 5) -> VolumeReservations {
        let transport = SimulatorTransport(
            socket: socket, path: name, timeoutSeconds: timeoutSeconds)
        return VolumeReservations(paths: [PersistentReservations(transport)])
    }

    /// A request of the control socket as text; its answer as text.
    @discardableResult
    func control(_ request: String) throws -> String {
        let connection = try UnixConnection(socket, timeoutSeconds: 5, name: "control")
        try connection.send(Array(request.utf8) + [UInt8(ascii: "\n")])
        return String(
            decoding: try connection.receiveLine(maximumBytes: 1 << 20), as: UTF8.self)
    }

    /// Writes a block through a path: 0, or the error's number.
    func write(_ path: String, _ byte: UInt8) -> Int32 {
        let descriptor = open("\(directory)/lun/\(path)", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        let block = [UInt8](repeating: byte, count: 4096)
        return pwrite(descriptor, block, block.count, 8192) == block.count ? 0 : errno
    }

    /// Reads the same block through a path: its first byte, or the negative error's number.
    func read(_ path: String) -> Int32 {
        let descriptor = open("\(directory)/lun/\(path)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return -errno }
        defer { close(descriptor) }
        var block = [UInt8](repeating: 0, count: 4096)
        return pread(descriptor, &block, block.count, 8192) == block.count
            ? Int32(block[0]) : -errno
    }
}

/// The initiator here against the target of the lab, which was written apart from it.
@Suite(
    .serialized, .timeLimit(.minutes(2)),
    .enabled(
        if: getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0,
        "the LUN simulator needs root and FUSE"))
struct SimulatedLUNTests {
    private let own = ReservationKey(0x1001)!
    private let victim = ReservationKey(0x2002)!
    /// What Linux makes of a reservation conflict.
    private let badExchange: Int32 = 52

    @Test func fencedPathNeitherWritesNorReads() throws {
        let lun = try SimulatedFixture()
        #expect(try lun.path("node1").attach(own) == .init(warnings: [], fenceProblem: nil))
        // Reserved, so an unregistered path is kept out from the start.
        #expect(lun.write("node2", 2) == badExchange)
        #expect(try lun.path("node2").attach(victim).fenceProblem == nil)
        #expect(lun.write("node2", 2) == 0)
        #expect(lun.read("node1") == 2)

        #expect(lun.path("node1").fence.fence(victims: [victim], own: own).isProven)
        #expect(lun.write("node2", 3) == badExchange)
        #expect(lun.read("node2") == -badExchange)
        #expect(lun.write("node1", 1) == 0)
        let back = lun.path("node2").fence.fence(victims: [own], own: victim)
        guard case .selfFenced = back else {
            Issue.record("\(back)")
            return
        }
        #expect(lun.read("node1") == 1)

        // Back with a new key, which the old fence does not reach.
        let again = ReservationKey(0x2003)!
        _ = try lun.path("node2").attach(again)
        #expect(lun.write("node2", 4) == 0)
        #expect(lun.path("node1").fence.fence(victims: [victim], own: own).isProven)
        #expect(lun.write("node2", 5) == 0)
    }

    /// The write that was held back must not land once the fence counts as proven. The control: a
    /// PREEMPT without ABORT takes the key away all the same, and the write lands.
    @Test(arguments: [true, false])
    func lateWriteNeverLandsAfterTheFence(_ isFenced: Bool) throws {
        let lun = try SimulatedFixture()
        _ = try lun.path("node1").attach(own)
        _ = try lun.path("node2").attach(victim)
        try lun.control(#"{"command":"fault","path":"node2","kind":"late-write"}"#)
        let result = Mutex<Int32?>(nil)
        let thread = Thread { result.withLock { $0 = lun.write("node2", 9) } }
        thread.start()
        try wait { try lun.control(#"{"command":"status"}"#).contains(#""lateWrite":"held""#) }

        if isFenced {
            #expect(lun.path("node1").fence.fence(victims: [victim], own: own).isProven)
        } else {
            try lun.path("node1").paths[0].preempt(own: own, victim: victim)
        }
        #expect(try lun.path("node1").paths[0].readKeys().keys == [own])
        try lun.control(#"{"command":"fault","path":"node2","kind":"release-late"}"#)
        try wait { result.withLock { $0 } != nil }
        #expect(result.withLock { $0 } == (isFenced ? badExchange : 0))
        #expect(lun.read("node1") == (isFenced ? 0 : 9))
        let accesses = try lun.control(#"{"command":"accesses"}"#)
        #expect(accesses.contains(#""late":true"#) != isFenced)
    }

    @Test func targetWithoutPersistence() throws {
        let lun = try SimulatedFixture(supportsPersistence: false)
        let attachment = try lun.path("node1").attach(own)
        #expect(attachment.warnings.count == 1)
        #expect(attachment.fenceProblem == nil)
    }

    /// What a node looks at before it takes its path back.
    @Test func aPathKnowsWhetherItHasItsKey() throws {
        let lun = try SimulatedFixture()
        let node2 = lun.path("node2")
        #expect(try !node2.isRegistered(victim))
        _ = try lun.path("node1").attach(own)
        _ = try node2.attach(victim)
        #expect(try node2.isRegistered(victim))
        let both = VolumeReservations(paths: node2.paths + lun.path("node1").paths)
        #expect(try !both.isRegistered(victim), "one of two paths lacks it")
        #expect(lun.path("node1").fence.fence(victims: [victim], own: own).isProven)
        #expect(try !node2.isRegistered(victim))
        try lun.control(#"{"command":"fault","path":"node2","kind":"fail"}"#)
        #expect(throws: FenceError.self) { try node2.isRegistered(victim) }
    }

    @Test func ownPathThatFailsProvesNothing() throws {
        let lun = try SimulatedFixture()
        _ = try lun.path("node1").attach(own)
        _ = try lun.path("node2").attach(victim)
        try lun.control(#"{"command":"fault","path":"node1","kind":"fail"}"#)
        let failed = lun.path("node1").fence.fence(victims: [victim], own: own)
        #expect(!failed.isProven && failed.text.contains("failed"))
        try lun.control(#"{"command":"fault","path":"node1","kind":"hang"}"#)
        let hung = lun.path("node1", timeoutSeconds: 0.3).fence.fence(victims: [victim], own: own)
        #expect(!hung.isProven && hung.text.contains("no answer in time"))
        #expect(lun.write("node2", 2) == 0)
        try lun.control(#"{"command":"fault","path":"node1","kind":"restore"}"#)
        #expect(lun.path("node1").fence.fence(victims: [victim], own: own).isProven)
    }

    private func wait(until isDone: () throws -> Bool) throws {
        let deadline = BootClock.nowSeconds + 20
        while try !isDone() {
            try #require(BootClock.nowSeconds < deadline)
            usleep(10_000)
        }
    }
}
