import FUSE
import Glibc
import Synchronization
import Testing
import VolumeModel
import VolumeMount

/// Random faults of the path, fences, redirections and changes of coordinator, while each block's one
/// writer counts up: what it reads is what it wrote last, and nobody ever gets an error.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct StressTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    /// Writes and reads one block until it is told to stop; what went wrong.
    private static func work(
        _ descriptor: Int32, _ block: Int, _ stops: StopFlag
    ) -> (problem: String?, rounds: Int) {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
        defer { memory.deallocate() }
        var count: UInt64 = 0
        while !stops.isSet {
            count += 1
            memory.initializeMemory(as: UInt64.self, repeating: count, count: 512)
            guard pwrite(descriptor, memory, 4096, off_t(block * 4096)) == 4096 else {
                return ("write \(count) of block \(block): errno \(errno)", Int(count))
            }
            if count % 7 == 0, fsync(descriptor) != 0 {
                return ("fsync \(count) of block \(block): errno \(errno)", Int(count))
            }
            guard pread(descriptor, memory, 4096, off_t(block * 4096)) == 4096 else {
                return ("read \(count) of block \(block): errno \(errno)", Int(count))
            }
            let words = UnsafeRawBufferPointer(start: memory, count: 4096)
                .bindMemory(to: UInt64.self)
            guard words.allSatisfy({ $0 == count }) else {
                return ("block \(block) has \(words[0]) instead of \(count)", Int(count))
            }
        }
        return (nil, Int(count))
    }

    private final class StopFlag: Sendable {
        private let flag = Atomic(false)
        var isSet: Bool { flag.load(ordering: .relaxed) }
        func set() { flag.store(true, ordering: .relaxed) }
    }

    @Test func nothingIsLost() async throws {
        let seed =
            getenv("COVOLUME_MOUNT_SEED").flatMap { UInt64(String(cString: $0)) }
            ?? UInt64.random(in: 0...UInt64(UInt32.max))
        var random = Generator(state: seed)
        let fixture = try await VolumeFixture()
        let (lun, volume, coordinator) = (fixture.lun, fixture.volume, fixture.coordinator)
        fixture.pathGuard.state.withLock { state in
            state.onFence = { lun.fence() }
            state.onRestore = { lun.unfence() }
        }
        let (a, b) = (try await fixture.open("a"), try await fixture.open("b"))
        let stops = StopFlag()
        let workers = (0..<12).map { number in
            Outcome { Self.work(number % 2 == 0 ? a : b, number, stops) }
        }
        let end = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < end {
            switch Int.random(in: 0..<8, using: &random) {
            case 0: lun.setAll(.fail(.inputOutput))
            case 1: lun.state.withLock { $0.writes = .late }
            case 2: lun.setAll(.hang)
            case 3: lun.state.withLock { $0.reads = .fail(.remoteIO) }
            case 4:
                await volume.setRedirected([.userRequest])
                try await Task.sleep(for: .milliseconds(50))
                await volume.setRedirected([])
            case 5:
                coordinator.state.withLock { $0.isAway = true }
                await volume.leave()
                try await Task.sleep(for: .milliseconds(100))
                let link = ReclaimLink(coordinator)
                #expect(await volume.join(epoch: 1, through: link))
                coordinator.state.withLock { $0.isAway = false }
            case 6:
                let file = FakeCoordinator.handle(UInt8.random(in: 1...2, using: &random))
                let generation = coordinator.state.withLock { state in
                    state.generation += 1
                    return state.generation
                }
                _ = await volume.recall(file, .everything, LayoutGeneration(generation))
            default:
                lun.landLate()
                lun.setAll(.ok)
                lun.release(landing: Bool.random(using: &random))
            }
            try await Task.sleep(
                for: .milliseconds(Int.random(in: 0...700, using: &random)))
            // What is late lands some time, if nobody prevents it.
            if Bool.random(using: &random) { lun.landLate() }
            if Bool.random(using: &random) { lun.setAll(.ok) }
        }
        lun.setAll(.ok)
        lun.release(landing: true)
        stops.set()
        for worker in workers {
            let result = await worker.wait(seconds: 30)
            #expect(result != nil, "a worker hangs; seed \(seed)")
            #expect(result?.problem == nil, "seed \(seed)")
        }
        #expect(await fixture.becomes(.direct, seconds: 40), "seed \(seed)")
        let counts = volume.counts
        #expect(counts.pathFailures > 0 && counts.directWrites > 0 && counts.redirectedWrites > 0)
        await fixture.close(a)
        await fixture.close(b)
        await fixture.end()
    }
}
