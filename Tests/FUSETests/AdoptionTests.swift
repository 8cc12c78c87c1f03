import CLinux
import FUSE
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Handover

/// Processes that serve one mount, one after the other, below one holder. ``end()`` leaves nothing.
private final class Succession {
    let directory = "/tmp/covol-adopt-\(getpid())-\(UInt64.random(in: .min ... .max))"
    let graceSeconds: Int
    var child: Int32 = -1
    var mountPath: String { directory + "/mount" }
    var filePath: String { mountPath + "/file" }
    var imagePath: String { directory + "/image" }
    var socketPath: String { directory + "/holder" }

    let transport: FUSEMountOptions.Transport

    init(_ transport: FUSEMountOptions.Transport, graceSeconds: Int) throws {
        self.transport = transport
        self.graceSeconds = graceSeconds
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var folder = URL(filePath: own).deletingLastPathComponent()
        while access(folder.path + "/fuse-child", X_OK) != 0 && folder.path != "/" {
            folder.deleteLastPathComponent()
        }
        binaries = folder.path
        try #require(mkdir(directory, 0o755) == 0 && mkdir(mountPath, 0o755) == 0)
        let image = open(imagePath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(ftruncate(image, 1 << 20) == 0)
        close(image)
    }

    let binaries: String

    func start(_ mode: String) throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let program = binaries + "/fuse-child"
        let words = [
            program, mode, mountPath, imagePath, socketPath, binaries + "/covol-holder",
            "\(graceSeconds)", transport.rawValue,
        ]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (text: String) in strdup(text) }
        arguments.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        defer { for argument in arguments { free(argument) } }
        child = arguments.withUnsafeMutableBufferPointer { arguments in
            environment.withUnsafeMutableBufferPointer { environment in
                var spawn = covol_spawn(
                    path: UnsafePointer(arguments[0]), argv: arguments.baseAddress,
                    envp: environment.baseAddress,
                    directory: nil, netns_fd: -1, stdin_fd: 0, stdout_fd: ends[1], stderr_fd: 2)
                return covol_spawn(&spawn)
            }
        }
        try #require(child > 0)
        var wanted = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        try #require(poll(&wanted, 1, 15_000) == 1, "\(mode) did not become ready")
        var line = [UInt8](repeating: 0, count: 16)
        try #require(read(ends[0], &line, 16) == 6, "\(mode) ended")
    }

    func kill() {
        guard child > 0 else { return }
        Glibc.kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        child = -1
    }

    /// What the process ended with by itself; nil: it did not, in twenty seconds.
    func exitStatus() -> Int32? {
        var status: Int32 = 0
        guard eventually(seconds: 20, { waitpid(child, &status, WNOHANG) == child }) else {
            return nil
        }
        child = -1
        return status >> 8 & 0xff
    }

    /// The holder's process, by the lock that it holds on a file of this test alone.
    private var holder: Int32? {
        guard let all = try? FileManager.default.contentsOfDirectory(atPath: "/proc") else {
            return nil
        }
        return all.compactMap { Int32($0) }.first { pid in
            guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
                return false
            }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.first?.hasSuffix("/covol-holder") == true
                && words.dropFirst().first == socketPath
        }
    }

    func end() {
        kill()
        if let holder { Glibc.kill(holder, SIGKILL) }
        _ = covol_unmount_lazily(mountPath)
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A mount outlives the process that serves it.
@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct AdoptionTests {
    /// Eight writes of a page each, which a mute process has taken.
    private func writes(in succession: Succession) throws -> [Outcome<Int>] {
        let path = succession.filePath
        let outcomes = (0..<8).map { number in
            let outcome = Outcome<Int>()
            TestThread.start {
                let file = open(path, O_RDWR | O_CLOEXEC)
                let bytes = [UInt8](repeating: UInt8(number + 1), count: 4096)
                let count = pwrite(file, bytes, 4096, off_t(number * 4096))
                outcome.set(count < 0 ? -Int(errno) : count)
                close(file)
            }
            return outcome
        }
        // The kernel has handed all of them out, for the process takes what there is.
        var status = stat()
        try #require(stat(succession.mountPath, &status) == 0)
        let connection = status.st_dev & 0xff | (status.st_dev >> 12 & ~0xff)
        #expect(
            eventually {
                let path = "/sys/fs/fuse/connections/\(connection)/waiting"
                return (try? String(contentsOfFile: path, encoding: .utf8)) == "8\n"
            })
        return outcomes
    }

    /// The same, and the process is gone.
    private func killWithWrites(_ succession: Succession) throws -> [Outcome<Int>] {
        try succession.start("mute")
        let outcomes = try writes(in: succession)
        usleep(300_000)
        succession.kill()
        return outcomes
    }

    /// Requests that a killed process had read, and did not answer, are answered by the next.
    @Test(arguments: [FUSEMountOptions.Transport.uring, .device])
    func requestsInHandAreAnswered(_ transport: FUSEMountOptions.Transport) throws {
        let succession = try Succession(transport, graceSeconds: 8)
        defer { succession.end() }
        let outcomes = try killWithWrites(succession)
        #expect(outcomes.allSatisfy { $0.wait(seconds: 0.2) == nil })
        try succession.start("adopt")
        for outcome in outcomes { #expect(outcome.wait(seconds: 3) == 4096) }
        let image = try #require(FileManager.default.contents(atPath: succession.imagePath))
        for number in 0..<8 { #expect(image[number * 4096 + 17] == UInt8(number + 1)) }
    }

    /// Those that went with the process before they had reached its memory, as far as the kernel keeps
    /// them: who made them tries again, and the entries that they held serve others.
    @Test func requestsThatWereLostAreTriedAgain() throws {
        let succession = try Succession(.uring, graceSeconds: 8)
        defer { succession.end() }
        let outcomes = try killWithWrites(succession)
        try succession.start("blind")
        for outcome in outcomes { #expect(outcome.wait(seconds: 3) == -Int(EAGAIN)) }
        let file = open(succession.filePath, O_RDWR | O_CLOEXEC)
        defer { close(file) }
        for number in 0..<200 {
            let bytes = [UInt8](repeating: UInt8(number), count: 4096)
            #expect(pwrite(file, bytes, 4096, off_t(number % 16 * 4096)) == 4096)
        }
        succession.kill()
        try succession.start("adopt")
        var byte: UInt8 = 0
        #expect(pread(file, &byte, 1, 15 * 4096) == 1 && byte == 191)
    }

    /// Those that neither the kernel gives up nor a number finds are noticed: the process ends the mount,
    /// and who made them hears so.
    @Test func requestsThatNobodyHasAreNoticed() throws {
        let succession = try Succession(.uring, graceSeconds: 8)
        defer { succession.end() }
        let outcomes = try killWithWrites(succession)
        try succession.start("deaf")
        #expect(succession.exitStatus() == 9)
        for outcome in outcomes {
            let error = outcome.wait(seconds: 10)
            #expect(error == -Int(ECONNABORTED) || error == -Int(ENOTCONN))
        }
    }

    @Test func onlyWhatStaysIsBelievedToBeLost() {
        typealias Watch = FUSELostRequestWatch
        func verdict(_ counts: (Int) -> Int?) -> Watch.Verdict? {
            var watch = Watch()
            for look in 0...Watch.looksMaximum {
                if let verdict = watch.look(counts(look)) { return verdict }
            }
            return nil
        }
        #expect(verdict { _ in 0 } == Watch.Verdict.none)
        #expect(verdict { _ in 2 } == .lost(2))
        #expect(verdict { _ in nil } == .unknown)
        // One of a busy mount's was on its way.
        #expect(verdict { $0 == Watch.looksToBelieve - 2 ? 0 : 1 } == Watch.Verdict.none)
        #expect(verdict { $0 % 2 == 0 ? nil : 3 } == .lost(3))
    }

    /// A reader and writer with one open file sees neither an error nor a wrong byte, through kill
    /// after kill.
    @Test(arguments: [FUSEMountOptions.Transport.uring, .device])
    func workGoesOnThroughKills(_ transport: FUSEMountOptions.Transport) throws {
        let succession = try Succession(transport, graceSeconds: 8)
        defer { succession.end() }
        try succession.start("mount")
        let path = succession.filePath
        let isOver = Gate()
        let outcomes = (0..<3).map { number in
            let outcome = Outcome<Int>()
            TestThread.start { outcome.set(Self.work(path, number, isOver)) }
            return outcome
        }
        for _ in 0..<5 {
            usleep(300_000)
            succession.kill()
            try succession.start("adopt")
        }
        usleep(300_000)
        isOver.open()
        for outcome in outcomes { #expect((outcome.wait(seconds: 20) ?? 0) > 50) }
    }

    /// Where nobody adopts, callers get an error after the grace instead of waiting for ever.
    @Test(arguments: [FUSEMountOptions.Transport.uring, .device])
    func nobodyComes(_ transport: FUSEMountOptions.Transport) throws {
        let succession = try Succession(transport, graceSeconds: 1)
        defer { succession.end() }
        try succession.start("mute")
        let path = succession.filePath
        let outcome = Outcome<Int32>()
        TestThread.start {
            let file = open(path, O_RDWR | O_CLOEXEC)
            var byte: UInt8 = 0
            outcome.set(pread(file, &byte, 1, 0) == 1 ? 0 : errno)
            close(file)
        }
        usleep(200_000)
        succession.kill()
        let error = outcome.wait(seconds: 10)
        #expect(error == ECONNABORTED || error == ENOTCONN)
    }

    @Test func messagesKeepWhatTheySay() {
        let message = HolderMessage(.keep, name: "a/b", record: [1, 2, 3])
        #expect(HolderMessage(message.bytes) == message)
        for count in 0..<message.bytes.count {
            #expect(HolderMessage(Array(message.bytes.prefix(count))) == nil)
        }
        #expect(HolderMessage(message.bytes + [0]) == nil)
    }

    /// As QEMU does it: what went with a process while it came to it is asked for again.
    private static func again(_ body: () -> Int) -> Int {
        while true {
            let result = body()
            if result >= 0 || (errno != EAGAIN && errno != ECANCELED) { return result }
        }
    }

    /// Rounds done, or -errno, or -1000 for a wrong byte.
    private static func work(_ path: String, _ number: Int, _ isOver: Gate) -> Int {
        let file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { return -Int(errno) }
        defer { close(file) }
        var rounds = 0
        var back = [UInt8](repeating: 0, count: 8192)
        while !isOver.isOpen {
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: rounds), count: 8192)
            let offset = off_t(number << 18 | rounds % 16 * 8192)
            guard again({ pwrite(file, bytes, 8192, offset) }) == 8192 else { return -Int(errno) }
            guard again({ pread(file, &back, 8192, offset) }) == 8192 else { return -Int(errno) }
            guard back == bytes else { return -1000 }
            rounds += 1
        }
        return rounds
    }
}

private final class Gate: Sendable {
    private let state = Atomic(false)
    var isOpen: Bool { state.load(ordering: .acquiring) }
    func open() { state.store(true, ordering: .releasing) }
}
