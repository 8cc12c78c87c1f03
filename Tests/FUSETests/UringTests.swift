import CLinux
import Glibc
import Logging
import Testing

@testable import FUSE

/// What only FUSE over io_uring has.
@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"),
    .enabled(if: MountFixture.transports.contains(.uring), "needs FUSE over io_uring (Linux 6.14)"),
    .serialized, .timeLimit(.minutes(2)))
struct UringTests {
    @Test func automaticTakesIt() throws {
        let fixture = try MountFixture(.automatic)
        defer { fixture.end() }
        #expect(fixture.mount.transport == .uring)
        #expect(fixture.mount.flags.contains(.overUring))
    }

    @Test func deviceIsKept() throws {
        let fixture = try MountFixture(.device)
        defer { fixture.end() }
        #expect(fixture.mount.transport == .device)
        #expect(!fixture.mount.flags.contains(.overUring))
    }

    /// The kernel refuses entries for CPUs that cannot be: the mount is made anew, on the device.
    @Test func refusedEntriesLeadToTheDevice() throws {
        let path = "/tmp/covol-fuse-\(getpid())-\(UInt64.random(in: .min ... .max))"
        try #require(mkdir(path, 0o755) == 0)
        defer { rmdir(path) }
        let image = path + ".image"
        close(open(image, O_RDWR | O_CREAT, 0o600))
        defer { unlink(image) }
        var logger = Logger(label: "covolume.fuse.tests")
        logger.logLevel = .critical
        var options = FUSEMountOptions()
        options.slotsPerWorker = 2
        let wrong = FUSEProcessors(possible: 4096, online: Set(0..<4096))
        options.transport = .uring
        let refused = ToyFileSystem(image: image)
        #expect(throws: FUSEMountError.self) {
            _ = try FUSEMount.mount(
                at: path, options: options, handler: refused, logger: logger, processors: wrong)
        }
        options.transport = .automatic
        let toy = ToyFileSystem(image: image)
        let mount = try FUSEMount.mount(
            at: path, options: options, handler: toy, logger: logger, processors: wrong)
        #expect(mount.transport == .device)
        let found = Outcome<Int32>()
        TestThread.start { found.set(access(path, F_OK)) }
        #expect(found.wait() == 0)
        try mount.unmount()
        #expect(eventually { toy.state.withLock { $0.endings == [.unmounted] } })
        #expect(refused.state.withLock { $0.endings.isEmpty })
    }

    private static var processors: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    private struct Bounds {
        let slots = 4
        let reserve = 32
        var lockWaits: Int { reserve / 2 }
        /// All of a worker's entries that waiting locks do not hold, but one.
        var data: Int { slots + reserve - lockWaits - 1 }
    }

    /// Every entry of every CPU but one is held, by locks that wait and by a handler that does not
    /// answer: reads go on everywhere, and further waits for locks fail.
    @Test func readsPassHeldEntries() throws {
        let bounds = Bounds()
        var options = FUSEMountOptions()
        options.workers = Self.processors
        options.slotsPerWorker = bounds.slots
        options.reserveEntriesPerWorker = bounds.reserve
        let fixture = try MountFixture(.uring, options: options)
        defer { fixture.end() }
        let (locked, waiting, held, other) = try fixture.bounded { root in
            let paths = ["l", "l", "held", "other"]
            let descriptors = paths.map {
                open(root + "/" + $0, O_RDWR | O_CREAT | openDirect, 0o600)
            }
            for descriptor in descriptors { ftruncate(descriptor, 1 << 20) }
            #expect(LockTests.lock(descriptors[0], 37, F_WRLCK, start: 0, length: 0) == 0)
            return (descriptors[0], descriptors[1], descriptors[2], descriptors[3])
        }
        var waits: [Outcome<Int32>] = []
        for processor in 0..<Self.processors {
            for _ in 0..<bounds.lockWaits {
                waits.append(
                    pinned(processor) {
                        LockTests.lock(waiting, 38, F_RDLCK, start: 0, length: 1)
                    })
            }
        }
        let count = waits.count
        #expect(eventually { fixture.toy.state.withLock { $0.waitingLocks.count == count } })
        for processor in 0..<Self.processors {
            let refused = pinned(processor) {
                LockTests.lock(waiting, 38, F_RDLCK, start: 0, length: 1)
            }
            #expect(refused.wait() == ENOLCK)
        }
        fixture.toy.state.withLock { $0.holdsNode = 3 }
        var reads: [Outcome<Int32>] = []
        for processor in 0..<Self.processors {
            for _ in 0..<bounds.data { reads.append(read(held, on: processor)) }
        }
        let readCount = reads.count
        #expect(eventually { fixture.toy.state.withLock { $0.heldSlots.count == readCount } })
        for processor in 0..<Self.processors {
            for _ in 0..<20 { #expect(read(other, on: processor).wait(seconds: 5) == 4096) }
        }
        let slots = fixture.toy.state.withLock { state in
            state.holdsNode = 0
            defer { state.heldSlots = [] }
            return state.heldSlots
        }
        for slot in slots { slot.replyError(.busy) }
        for outcome in reads { #expect(outcome.wait() == -EBUSY) }
        #expect(
            try fixture.bounded { _ in
                LockTests.lock(locked, 37, F_UNLCK, start: 0, length: 0)
            } == 0)
        for outcome in waits { #expect(outcome.wait() == 0) }
        try fixture.bounded { _ in
            for descriptor in [locked, waiting, held, other] { close(descriptor) }
        }
    }

    /// More data requests at once than a queue has entries, none of which is answered: what waits in
    /// the kernel behind them is taken out all the same.
    @Test func backlogIsTakenOut() throws {
        var options = FUSEMountOptions()
        options.workers = Self.processors
        options.slotsPerWorker = 1
        let fixture = try MountFixture(.uring, options: options)
        defer { fixture.end() }
        let (held, other) = try fixture.bounded { root in
            let files = ["held", "other"].map {
                open(root + "/" + $0, O_RDWR | O_CREAT | openDirect, 0o600)
            }
            for file in files { ftruncate(file, 1 << 20) }
            return (files[0], files[1])
        }
        fixture.toy.state.withLock { $0.holdsNode = 2 }
        let reads = (0..<40).map { _ in read(held, on: 0) }
        let others = (0..<5).map { _ in read(other, on: 0) }
        for outcome in others { #expect(outcome.wait(seconds: 5) == 4096) }
        #expect(eventually { fixture.toy.state.withLock { $0.heldSlots.count == 40 } })
        let slots = fixture.toy.state.withLock { state in
            state.holdsNode = 0
            defer { state.heldSlots = [] }
            return state.heldSlots
        }
        for slot in slots { slot.replyError(.busy) }
        for outcome in reads { #expect(outcome.wait() == -EBUSY) }
        try fixture.bounded { _ in
            close(held)
            close(other)
        }
    }

    /// The data path allocates nothing: the heap is as large after many requests as before.
    @Test func dataPathAllocatesNothing() throws {
        let fixture = try MountFixture(.uring)
        defer { fixture.end() }
        let grown = try fixture.bounded(seconds: 60) { root in
            let file = open(root + "/f", O_RDWR | O_CREAT | openDirect, 0o600)
            defer { close(file) }
            let block = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
            defer { block.deallocate() }
            memset(block, 7, 4096)
            let run = { (count: Int) in
                for number in 0..<count {
                    let place = off_t(number % 16 * 4096)
                    #expect(pwrite(file, block, 4096, place) == 4096)
                    #expect(pread(file, block, 4096, place) == 4096)
                }
            }
            run(500)
            let before = covol_fuse_heap_bytes()
            run(2000)
            return Int(covol_fuse_heap_bytes()) - Int(before)
        }
        // Other tests' threads allocate meanwhile; 4000 requests would show with any leak of their own.
        #expect(grown < 4000 * 16)
    }

    private func pinned(
        _ processor: Int, _ body: @escaping @Sendable () -> Int32
    ) -> Outcome<Int32> {
        let outcome = Outcome<Int32>()
        TestThread.start(on: processor) { outcome.set(body()) }
        return outcome
    }

    /// The bytes read at the file's start, or a negative errno.
    private func read(_ descriptor: Int32, on processor: Int) -> Outcome<Int32> {
        pinned(processor) {
            let block = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
            defer { block.deallocate() }
            let count = pread(descriptor, block, 4096, 0)
            return count < 0 ? -errno : Int32(count)
        }
    }
}
