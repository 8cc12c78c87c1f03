import FUSE
import Glibc
import Logging
import Synchronization
import Testing
import VolumeModel

/// One file, whose reads wait on a pipe until a test writes to it.
private final class PipeFileSystem: FUSEHandler {
    struct State {
        var busy: [FUSESlot] = []
        var refused = 0
        var abandoned = 0
        var completed = 0
        var hasEnded = false
    }

    let pipe: Int32
    let state = Mutex(State())
    static let abandonTag: UInt64 = 1

    init(pipe: Int32) { self.pipe = pipe }

    func received(_ request: FUSERequest, context: FUSEContext, reply: FUSEReplyPort) {
        let isRoot = context.nodeID == 1
        switch request {
        case .lookup:
            reply.entry(
                FUSEEntry(
                    nodeID: 2,
                    attributes: ToyFileSystem.attributes(2, mode: 0o100600, size: 1 << 20)
                ))
        case .getattr:
            reply.attributes(
                ToyFileSystem.attributes(
                    context.nodeID, mode: isRoot ? 0o040755 : 0o100600, size: 1 << 20))
        case .open, .opendir:
            reply.opened(handle: 1, openFlags: FUSEOpenReplyFlags.directIO)
        case .forget, .batchForget, .interrupt: reply.none()
        case .release, .releasedir, .flush, .destroy: reply.ok()
        default: reply.error(.notImplemented)
        }
    }

    func received(read request: FUSEReadRequest, context: FUSEContext, slot: FUSESlot) {
        state.withLock { $0.busy.append(slot) }
        slot.submit(
            read: FUSELUNSegment(
                descriptor: pipe, lunOffsetBytes: 0, bufferOffsetBytes: 0, lengthBytes: 1), tag: 7)
    }

    func received(write request: FUSEWriteRequest, context: FUSEContext, slot: FUSESlot) {
        slot.replyError(.readOnly)
    }

    func completed(slot: FUSESlot, tag: UInt64, results: FUSEIOResults) {
        state.withLock { $0.completed += 1 }
        slot.replyRead(bufferOffset: 0, length: 1)
    }

    func abandoned(tag: UInt64, results: FUSEIOResults) {
        precondition(tag == 7, "another I/O's end")
        state.withLock { $0.abandoned += 1 }
    }

    func resumed(slot: FUSESlot, tag: UInt64) {
        guard let fresh = slot.abandonIO() else {
            state.withLock { $0.refused += 1 }
            return
        }
        let bytes = [UInt8](repeating: 9, count: 1)
        // Half go on without a slot.
        let isDetached = state.withLock { $0.abandoned + $0.busy.count } % 2 == 0
        bytes.withUnsafeBytes { bytes in
            if isDetached {
                fresh.detach().replyRead(bytes)
            } else {
                fresh.buffer.copyMemory(from: bytes)
                fresh.replyRead(bufferOffset: 0, length: 1)
            }
        }
    }

    func ended(_ reason: FUSEEndReason) { state.withLock { $0.hasEnded = true } }

    /// Has all that hangs abandoned; how many.
    func abandonAll() -> Int {
        let busy = state.withLock { state in
            defer { state.busy = [] }
            return state.busy
        }
        for slot in busy { slot.perform(tag: Self.abandonTag) }
        return busy.count
    }
}

/// LUN I/O that never ends costs neither its request nor its worker's slots.
@Suite(
    .enabled(if: MountFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(2)))
struct AbandonTests {
    @Test(arguments: MountFixture.transports)
    func hungSlotsAreReplaced(transport: FUSEMountOptions.Transport) throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let path = "/tmp/covol-fuse-\(getpid())-\(UInt64.random(in: .min ... .max))"
        try #require(mkdir(path, 0o755) == 0)
        defer {
            close(ends[0])
            close(ends[1])
            rmdir(path)
        }
        var options = FUSEMountOptions()
        options.transport = transport
        options.workers = 1
        options.slotsPerWorker = 4
        options.reserveEntriesPerWorker = 4
        // As often every slot can be replaced.
        let rounds = transport == .uring ? 2 : 1
        let handler = PipeFileSystem(pipe: ends[0])
        var logger = Logger(label: "covolume.fuse.tests")
        logger.logLevel = .warning
        let mount = try FUSEMount.mount(
            at: path, options: options, handler: handler, logger: logger)
        let read: @Sendable () -> Outcome<Int32> = {
            let outcome = Outcome<Int32>()
            // All to one of the kernel's queues: the reserve need not do for two.
            TestThread.start(on: 0) {
                let descriptor = open(path + "/f", O_RDONLY)
                var byte: UInt8 = 0
                outcome.set(pread(descriptor, &byte, 1, 0) == 1 ? Int32(byte) : -errno)
                close(descriptor)
            }
            return outcome
        }
        // Every slot hangs; all are abandoned, and each request is answered.
        for _ in 0..<rounds {
            let first = (0..<4).map { _ in read() }
            #expect(eventually { handler.state.withLock { $0.busy.count == 4 } })
            #expect(handler.abandonAll() == 4)
            for outcome in first { #expect(outcome.wait() == 9) }
        }
        let abandoned = 4 * rounds
        // There are as many slots as before, but no further replacement.
        let second = (0..<4).map { _ in read() }
        #expect(eventually { handler.state.withLock { $0.busy.count == 4 } })
        let held = handler.state.withLock { $0.busy }
        #expect(handler.abandonAll() == 4)
        #expect(eventually { handler.state.withLock { $0.refused == 4 } })
        #expect(held.count == 4)
        // What hung ends: the abandoned ones first, as they were first.
        #expect(
            write(ends[1], [UInt8](repeating: 5, count: abandoned + 4), abandoned + 4)
                == abandoned + 4)
        for outcome in second { #expect(outcome.wait() == 5) }
        #expect(
            eventually { handler.state.withLock { $0.abandoned == abandoned && $0.completed == 4 } }
        )
        // And again.
        let third = (0..<4).map { _ in read() }
        #expect(eventually { handler.state.withLock { $0.busy.count == 4 } })
        #expect(handler.abandonAll() == 4)
        for outcome in third { #expect(outcome.wait() == 9) }
        #expect(write(ends[1], [UInt8](repeating: 5, count: 4), 4) == 4)
        #expect(eventually { handler.state.withLock { $0.abandoned == abandoned + 4 } })
        let ended = Outcome<Bool>()
        TestThread.start { ended.set((try? mount.unmount(lazy: true)) != nil) }
        #expect(ended.wait() == true)
        #expect(eventually { handler.state.withLock { $0.hasEnded } })
    }
}
