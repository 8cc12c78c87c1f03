import CLinux
import Foundation
import Glibc
import IORing
import LUNSimulator
import Testing

@Suite(
    .enabled(if: LUNFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct MountedLUNTests {
    @Test func everyPathIsTheSameLUN() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        var status = stat()
        #expect(stat(fixture.path(1), &status) == 0)
        #expect(status.st_size == LUNFixture.sizeBytes && status.st_mode == S_IFREG | 0o600)
        for (number, size) in [(1, 4096), (2, 1 << 20), (3, 3 << 20)] {
            let byte = UInt8(0x10 + number)
            #expect(PathIO.write(fixture.path(number), byte, at: 8192, count: size) == 0)
            for other in 1...3 {
                let read = PathIO.read(fixture.path(other), at: 8192, count: size)
                #expect(read.error == 0 && read.bytes.allSatisfy { $0 == byte })
            }
        }
        // Without O_DIRECT, unaligned: nothing is cached there either.
        let first = open(fixture.path(1), O_RDWR)
        let second = open(fixture.path(2), O_RDWR)
        defer { for descriptor in [first, second] { close(descriptor) } }
        var bytes = [UInt8](repeating: 0, count: 5)
        #expect(pread(second, &bytes, 5, 3) == 5)
        #expect(pwrite(first, "hello", 5, 3) == 5)
        #expect(pread(second, &bytes, 5, 3) == 5 && bytes == Array("hello".utf8))
        #expect(fsync(first) == 0 && fdatasync(second) == 0)
    }

    @Test func aLUNKeepsItsSize() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let end = LUNFixture.sizeBytes
        #expect(truncate(fixture.path(1), 4096) == -1)
        close(open(fixture.path(1), O_RDWR | O_TRUNC))
        var status = stat()
        #expect(stat(fixture.path(1), &status) == 0 && status.st_size == end)
        #expect(PathIO.write(fixture.path(1), 1, at: end - 4096) == 0)
        #expect(PathIO.write(fixture.path(1), 1, at: end) == ENOSPC)
        #expect(PathIO.write(fixture.path(1), 1, at: end - 4096, count: 8192) == ENOSPC)
        let descriptor = open(fixture.path(1), O_RDWR)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 1, count: 100)
        #expect(pread(descriptor, &bytes, 100, off_t(end) - 10) == 10)
        #expect(pread(descriptor, &bytes, 100, off_t(end)) == 0)
        // Given back: zeros.
        #expect(covol_fallocate(descriptor, 0x03, UInt64(end - 8192), 8192) == 0)
        #expect(PathIO.read(fixture.path(2), at: end - 4096).bytes.allSatisfy { $0 == 0 })
        #expect(covol_fallocate(descriptor, 0, 0, UInt64(end) + 4096) < 0)
    }

    @Test func ioUringWithDirectIO() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let descriptor = open(fixture.path(1), O_RDWR | covol_o_direct)
        #expect(descriptor >= 0)
        defer { close(descriptor) }
        let count = 64
        let done = Pending { Self.exchange(descriptor, blocks: count) }
        #expect(done.wait() == (1...count).map { UInt8($0) })
    }

    /// Writes blocks of different content, reads them back, and returns the first byte of each.
    private static func exchange(_ descriptor: Int32, blocks: Int) -> [UInt8] {
        guard let ring = try? IORing(entries: 64, completions: 128) else { return [] }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: blocks * 4096, alignment: 4096)
        defer { memory.deallocate() }
        for isWrite in [true, false] {
            for block in 0..<blocks {
                let address = memory.baseAddress! + block * 4096
                memset(address, isWrite ? Int32(block + 1) : 0, 4096)
                let offset = UInt64(block) * 8192
                if isWrite {
                    ring.queueWrite(
                        descriptor: descriptor, from: address, lengthBytes: 4096,
                        offsetBytes: offset, dsync: block % 2 == 0, userData: UInt64(block))
                } else {
                    ring.queueRead(
                        descriptor: descriptor, into: address, lengthBytes: 4096,
                        offsetBytes: offset, userData: UInt64(block))
                }
            }
            var completed = 0
            while completed < blocks {
                guard (try? ring.submitAndWait()) != nil else { return [] }
                completed += ring.takeCompletions { completion in
                    #expect(completion.result == 4096)
                }
            }
        }
        return (0..<blocks).map { memory[$0 * 4096] }
    }

    @Test func aPathThatHangsIsInNobodysWay() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        #expect(PathIO.write(fixture.path(1), 1, at: 0) == 0)
        try fixture.fault(1, "hang")
        let path = fixture.path(1)
        // More than a connection's slots would be without their own connection.
        let reads = (0..<150).map { index in
            Pending { PathIO.read(path, at: index * 4096).error }
        }
        let write = Pending { PathIO.write(path, 9, at: 0) }
        // On a path of its own: in the kernel a flush waits for a write of the same file.
        try fixture.fault(2, "hang")
        let other = fixture.path(2)
        let flush = Pending {
            let descriptor = open(other, O_RDWR)
            defer { close(descriptor) }
            return fsync(descriptor) == 0 ? 0 : errno
        }
        #expect(try eventually { try fixture.held(1) == 151 && fixture.held(2) == 1 })
        #expect(PathIO.write(fixture.path(3), 2, at: 4096) == 0)
        #expect(PathIO.read(fixture.path(3), at: 0).bytes.first == 1)
        #expect(reads.allSatisfy { $0.now == nil } && write.now == nil && flush.now == nil)
        try fixture.fault(1, "restore")
        try fixture.fault(2, "restore")
        #expect(reads.allSatisfy { $0.wait() == 0 })
        #expect(write.wait() == 0 && flush.wait() == 0)
        #expect(PathIO.read(fixture.path(2), at: 0).bytes.first == 9)
    }

    @Test func failuresAndDelays() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try fixture.fault(1, "fail")
        #expect(PathIO.write(fixture.path(1), 1, at: 0) == EIO)
        #expect(PathIO.read(fixture.path(1), at: 0).error == EIO)
        let descriptor = open(fixture.path(1), O_RDWR)
        #expect(fsync(descriptor) == -1 && errno == EIO)
        close(descriptor)
        try fixture.fault(1, "slow", milliseconds: 300)
        let start = Date()
        #expect(PathIO.write(fixture.path(1), 7, at: 0) == 0)
        #expect(Date().timeIntervalSince(start) >= 0.3)
        #expect(PathIO.read(fixture.path(2), at: 0).bytes.first == 7)
        // Restored: what waits goes on at once.
        try fixture.fault(1, "slow", milliseconds: 60_000)
        let path = fixture.path(1)
        let write = Pending { PathIO.write(path, 8, at: 0) }
        #expect(try eventually { try fixture.held(1) == 1 })
        try fixture.fault(1, "restore")
        #expect(write.wait() == 0)
    }

    @Test func afterACutNothingLands() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let path = fixture.path(1)
        for round in 1...20 {
            try fixture.fault(1, "restore")
            let writers = (0..<4).map { index in
                Pending {
                    var last: UInt8 = 0
                    for value in 1...250 as ClosedRange<UInt8> {
                        guard PathIO.write(path, value, at: index * 4096) == 0 else { break }
                        last = value
                    }
                    return last
                }
            }
            usleep(UInt32(round) * 500)
            try fixture.fault(1, "cut")
            let before = (0..<4).map {
                PathIO.read(fixture.path(2), at: $0 * 4096).bytes.first ?? 0
            }
            for (index, writer) in writers.enumerated() {
                let acknowledged = try #require(writer.wait())
                let now = PathIO.read(fixture.path(2), at: index * 4096).bytes.first
                #expect(now == before[index])
                #expect(acknowledged == 0 || acknowledged == now)
            }
        }
    }

    @Test func aLateWriteLandsWhenLetGo() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        let path = fixture.path(1)
        try fixture.fault(1, "late-write")
        #expect(try fixture.status(1)["lateWrite"] as? String == "armed")
        let late = Pending { PathIO.write(path, 66, at: 0) }
        #expect(try eventually { try fixture.status(1)["lateWrite"] as? String == "held" })
        // The rest of the path works.
        #expect(PathIO.write(path, 1, at: 4096) == 0)
        #expect(PathIO.write(fixture.path(2), 2, at: 0) == 0)
        #expect(late.now == nil)
        try fixture.fault(1, "release-late")
        #expect(late.wait() == 0)
        #expect(PathIO.read(fixture.path(2), at: 0).bytes.first == 66)
        let entries = try fixture.ask(["command": "accesses", "sinceSequence": 0])
        let log = try #require(entries["entries"] as? [[String: Any]])
        #expect(log.map { $0["path"] as? String } == ["node1", "node2", "node1"])
        #expect(log.map { $0["late"] as? Bool } == [false, false, true])
        #expect(log.map { $0["offset"] as? Int } == [4096, 0, 0])
        #expect(entries["lastSequence"] as? Int == 3)
    }

    /// The fence ends a late write, provably; a fence that only preempts does not (the control).
    @Test(arguments: [true, false])
    func theFenceEndsALateWrite(aborts: Bool) throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try fixture.reserveForAll()
        let path = fixture.path(1)
        try fixture.fault(1, "late-write")
        let late = Pending { PathIO.write(path, 66, at: 0) }
        #expect(try eventually { try fixture.status(1)["lateWrite"] as? String == "held" })
        let status = try fixture.reserveOut(
            aborts ? 5 : 4, type: 8, key: 0x12, service: 0x11, by: 2)
        #expect(status == 0)
        #expect(PathIO.write(path, 5, at: 4096) == EBADE)
        #expect(PathIO.read(path, at: 4096).error == EBADE)
        if aborts { #expect(late.wait() == EBADE) }
        #expect(PathIO.write(fixture.path(2), 2, at: 0) == 0)
        try fixture.fault(1, "release-late")
        #expect(late.wait() == (aborts ? EBADE : 0))
        #expect(PathIO.read(fixture.path(2), at: 0).bytes.first == (aborts ? 2 : 66))
        // A new key lets the path in again.
        #expect(try fixture.reserveOut(6, key: 0, service: 0x21, by: 1) == 2)
        #expect(try fixture.reserveOut(6, key: 0, service: 0x21, by: 1) == 0)
        #expect(PathIO.write(path, 5, at: 4096) == 0)
    }

    @Test func theFenceEndsWhatHangs() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try fixture.reserveForAll()
        let path = fixture.path(1)
        try fixture.fault(1, "hang")
        let writes = (0..<20).map { index in Pending { PathIO.write(path, 3, at: index * 4096) } }
        #expect(try eventually { try fixture.held(1) == 20 })
        #expect(try fixture.reserveOut(5, type: 8, key: 0x12, service: 0x11, by: 2) == 0)
        #expect(writes.allSatisfy { $0.wait() == EBADE })
        // Behind them in the initiator's queue.
        #expect(PathIO.write(path, 3, at: 0) == EBADE)
        try fixture.fault(1, "restore")
        #expect(PathIO.read(fixture.path(2), at: 0).bytes.first == 0)
        #expect(PathIO.read(path, at: 0).error == EBADE)
    }

    @Test func whoIsKilledLeavesItRunning() throws {
        let fixture = try LUNFixture()
        defer { fixture.end() }
        try fixture.fault(1, "hang")
        let client = Process()
        client.executableURL = URL(fileURLWithPath: "/bin/dd")
        client.arguments = ["if=/dev/zero", "of=\(fixture.path(1))", "bs=4096", "conv=notrunc"]
        client.standardError = FileHandle.nullDevice
        try client.run()
        #expect(try eventually { try fixture.held(1) == 1 })
        kill(client.processIdentifier, SIGKILL)
        // It waits in the kernel for its write, which is what a real path would have it do.
        #expect(PathIO.write(fixture.path(2), 1, at: 0) == 0)
        try fixture.fault(1, "fail")
        #expect(eventually { !client.isRunning })
        try fixture.fault(1, "restore")
        #expect(PathIO.write(fixture.path(1), 2, at: 0) == 0)
    }

    @Test func theEndFailsWhatHangs() throws {
        let fixture = try LUNFixture()
        let path = fixture.path(1)
        try fixture.fault(1, "hang")
        try fixture.fault(2, "slow", milliseconds: 60_000)
        let write = Pending { PathIO.write(path, 1, at: 0) }
        let other = fixture.path(2)
        let slow = Pending { PathIO.write(other, 1, at: 0) }
        #expect(try eventually { try fixture.held(1) == 1 && fixture.held(2) == 1 })
        let open = open(fixture.path(3), O_RDWR)
        defer { close(open) }
        fixture.end()
        #expect(write.wait() == EIO && slow.wait() == EIO)
        #expect(pwrite(open, "x", 1, 0) == -1)
    }
}
