import CLinux
import Glibc
import IORing
import Testing
import VolumeModel

@Suite struct IORingTests {
    @Test(arguments: [IORing.Mode.deferred, .cooperative, .plain])
    func readsWhatItWrote(mode: IORing.Mode) throws {
        let ring = try IORing(entries: 4, completions: 8, modes: [mode])
        #expect(ring.mode == mode)
        let descriptor = covol_memfd("covol-ring-test")
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 4096)
        defer { buffer.deallocate() }
        for index in 0..<4096 { buffer[index] = UInt8(truncatingIfNeeded: index &* 7) }

        ring.queueWrite(
            descriptor: descriptor, from: buffer.baseAddress!, lengthBytes: 4096,
            offsetBytes: 12288, dsync: true, userData: 1)
        #expect(try one(ring).result == 4096)
        ring.queueFlush(descriptor: descriptor, userData: 2)
        #expect(try one(ring).result == 0)
        ring.queueRead(
            descriptor: descriptor, into: buffer.baseAddress! + 4096, lengthBytes: 4096,
            offsetBytes: 12288, async: true, userData: UInt64.max - 1)
        let read = try one(ring)
        #expect(read.userData == UInt64.max - 1)
        #expect(read.result == 4096)
        #expect(memcmp(buffer.baseAddress!, buffer.baseAddress! + 4096, 4096) == 0)
    }

    /// The same through registered memory; what lies outside of it is refused, not written elsewhere.
    @Test func readsAndWritesThroughRegisteredBuffers() throws {
        let ring = try IORing(entries: 4, completions: 8)
        let descriptor = covol_memfd("covol-ring-test")
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 12288, alignment: 4096)
        defer { buffer.deallocate() }
        for index in 0..<12288 { buffer[index] = UInt8(truncatingIfNeeded: index &* 11) }
        let start = buffer.baseAddress!
        try ring.registerBuffers([
            iovec(iov_base: start, iov_len: 4096), iovec(iov_base: start + 4096, iov_len: 4096),
        ])
        ring.queueWrite(
            descriptor: descriptor, from: start, lengthBytes: 4096, offsetBytes: 0, registered: 0,
            dsync: false, userData: 1)
        #expect(try one(ring).result == 4096)
        ring.queueRead(
            descriptor: descriptor, into: start + 4096, lengthBytes: 4096, offsetBytes: 0,
            registered: 1, userData: 2)
        #expect(try one(ring).result == 4096)
        #expect(memcmp(start, start + 4096, 4096) == 0)
        ring.queueRead(
            descriptor: descriptor, into: start + 8192, lengthBytes: 4096, offsetBytes: 0,
            registered: 1, userData: 3)
        #expect(try one(ring).error == ErrorCode(14))
        #expect(throws: ErrorCode.self) { try ring.registerBuffers([]) }
    }

    @Test func reportsTheErrorOfAnOperation() throws {
        let ring = try IORing(entries: 4, completions: 8)
        ring.queueFlush(descriptor: -1, userData: 9)
        let completion = try one(ring)
        #expect(completion.error == .badDescriptor)
        #expect(completion.userData == 9)
    }

    /// More submissions than the queue holds, more completions than one batch takes: each arrives once.
    @Test func losesNothingPastItsSize() throws {
        let ring = try IORing(entries: 4, completions: 8)
        var seen = [Int](repeating: 0, count: 500)
        for number in 0..<500 { ring.queueNothing(userData: UInt64(number)) }
        var rounds = 0
        while seen.reduce(0, +) < 500, rounds < 1000 {
            try ring.submitAndPoll()
            ring.takeCompletions { seen[Int($0.userData)] += 1 }
            rounds += 1
        }
        #expect(seen.allSatisfy { $0 == 1 })
    }

    @Test func polls() throws {
        let ring = try IORing(entries: 4, completions: 8)
        let event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        try #require(event >= 0)
        defer { close(event) }
        ring.queuePollReadable(descriptor: event, exclusive: true, userData: 5)
        try ring.submitAndPoll()
        #expect(ring.takeCompletions { _ in } == 0)
        #expect(eventfd_write(event, 1) == 0)
        let completion = try one(ring)
        #expect(completion.userData == 5)
        #expect(completion.result & Int32(POLLIN) != 0)
    }

    @Test func refusesWhatTheKernelDoesNotHave() {
        #expect(throws: ErrorCode.invalid) { _ = try IORing(entries: 1, completions: 1, modes: []) }
    }

    private func one(_ ring: borrowing IORing) throws -> IORingCompletion {
        var found: IORingCompletion?
        for _ in 0..<100 where found == nil {
            try ring.submitAndWait()
            ring.takeCompletions { found = $0 }
        }
        return try #require(found)
    }
}
