import FUSE
import Glibc
import Testing

/// Every slot held, and more: what the transport still owes its users.
@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct PressureTests {
    private func fixture(_ transport: FUSEMountOptions.Transport) throws -> MountFixture {
        var options = FUSEMountOptions()
        options.workers = 2
        options.slotsPerWorker = 2
        return try MountFixture(transport, options: options)
    }

    /// How many of `count` requests the handler gets while it answers none: those that have a slot, or,
    /// on io_uring, all that the reserve of entries takes.
    private func heldCount(_ transport: FUSEMountOptions.Transport, of count: Int) -> Int {
        transport == .uring ? count : 4
    }

    /// Metadata is served while every slot is held; afterwards all parked requests are, unharmed.
    @Test(arguments: MountFixture.transports)
    func metadataPassesHeldSlots(transport: FUSEMountOptions.Transport) throws {
        let fixture = try fixture(transport)
        defer { fixture.end() }
        let descriptor = try fixture.bounded { root in
            let descriptor = open(root + "/p", O_RDWR | O_CREAT, 0o600)
            #expect(ftruncate(descriptor, 1 << 20) == 0)
            return descriptor
        }
        fixture.toy.state.withLock { $0.holdsData = true }
        let writers = (0..<60).map { _ in Outcome<Bool>() }
        for (number, outcome) in writers.enumerated() {
            TestThread.start {
                let block = [UInt8](repeating: UInt8(number + 1), count: 4096)
                outcome.set(pwrite(descriptor, block, 4096, off_t(number * 4096)) == 4096)
            }
        }
        let expected = heldCount(transport, of: 60)
        #expect(eventually { fixture.toy.state.withLock { $0.heldSlots.count == expected } })
        for _ in 0..<20 {
            try fixture.bounded(seconds: 5) { root in
                var status = stat()
                #expect(stat(root + "/p", &status) == 0)
            }
        }
        let held = fixture.toy.state.withLock { state in
            state.holdsData = false
            return state.heldSlots
        }
        fixture.toy.state.withLock { $0.heldSlots = [] }
        for slot in held { slot.replyError(.busy) }
        let results = writers.map { $0.wait() }
        #expect(results.filter { $0 == false }.count == expected)
        #expect(results.filter { $0 == true }.count == 60 - expected)
        try fixture.bounded { _ in
            var block = [UInt8](repeating: 0, count: 4096)
            for number in 0..<60 where results[number] == true {
                #expect(pread(descriptor, &block, 4096, off_t(number * 4096)) == 4096)
                #expect(block.allSatisfy { $0 == UInt8(number + 1) })
            }
            close(descriptor)
        }
    }

    /// Starts 48 writes of 1 MiB: more than slots and parking hold.
    private func overfill(_ fixture: MountFixture) throws -> [Outcome<Int>] {
        let descriptors = try fixture.bounded { root in
            (0..<3).map { number in
                let descriptor = open(
                    root + "/f\(number)", O_RDWR | O_CREAT | openDirect, 0o600)
                #expect(ftruncate(descriptor, 16 << 20) == 0)
                return descriptor
            }
        }
        fixture.toy.state.withLock { $0.holdsData = true }
        return descriptors.flatMap { descriptor in
            (0..<16).map { number in
                let outcome = Outcome<Int>()
                TestThread.start {
                    let memory = UnsafeMutableRawPointer.allocate(
                        byteCount: 1 << 20, alignment: 4096)
                    memset(memory, Int32(number + 1), 1 << 20)
                    outcome.set(pwrite(descriptor, memory, 1 << 20, off_t(number << 20)))
                    memory.deallocate()
                }
                return outcome
            }
        }
    }

    @Test(arguments: MountFixture.transports)
    func recoversFromBeingFull(transport: FUSEMountOptions.Transport) throws {
        let fixture = try fixture(transport)
        defer { fixture.end() }
        let writers = try overfill(fixture)
        let expected = heldCount(transport, of: 48)
        #expect(eventually { fixture.toy.state.withLock { $0.heldSlots.count == expected } })
        usleep(300_000)
        let held = fixture.toy.state.withLock { state in
            state.holdsData = false
            defer { state.heldSlots = [] }
            return state.heldSlots
        }
        for slot in held { slot.replyError(.busy) }
        let results = writers.map { $0.wait() }
        #expect(results.filter { $0 == 1 << 20 }.count == 48 - expected)
        #expect(results.filter { $0 == -1 }.count == expected)
        try fixture.bounded { root in
            for file in 0..<3 {
                let descriptor = open(root + "/f\(file)", O_RDWR)
                var bytes = [UInt8](repeating: 0, count: 1 << 20)
                for number in 0..<16 where results[file * 16 + number] == 1 << 20 {
                    #expect(pread(descriptor, &bytes, 1 << 20, off_t(number << 20)) == 1 << 20)
                    #expect(bytes.allSatisfy { $0 == UInt8(number + 1) })
                }
                close(descriptor)
            }
        }
    }

    /// No worker reads its device any more; the end is noticed nevertheless.
    @Test(arguments: MountFixture.transports)
    func abortOfAHungMount(transport: FUSEMountOptions.Transport) throws {
        let fixture = try fixture(transport)
        defer { fixture.end() }
        let writers = try overfill(fixture)
        let expected = heldCount(transport, of: 48)
        #expect(eventually { fixture.toy.state.withLock { $0.heldSlots.count == expected } })
        usleep(300_000)
        try fixture.mount.abort()
        for writer in writers { #expect(writer.wait() == -1) }
        #expect(eventually { fixture.toy.state.withLock { $0.endings == [.aborted] } })
        let error = try fixture.bounded { root in access(root + "/f0", F_OK) == 0 ? 0 : errno }
        #expect(error == ENOTCONN || error == ECONNABORTED)
        try fixture.mount.unmount(lazy: true)
    }
}
