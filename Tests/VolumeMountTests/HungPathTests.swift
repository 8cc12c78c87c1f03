import FUSE
import Glibc
import Testing
import VolumeModel
import VolumeMount

/// A path that answers nothing: reads go on after a bound, writes when they cannot land any more.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct HungPathTests {
    /// More reads than there are slots, each of which the kernel holds on to.
    @Test func everySlotHoldsAHungRead() async throws {
        let fixture = try await VolumeFixture()
        let (file, other) = (try await fixture.open("a"), try await fixture.open("b"))
        #expect(await fixture.write(file, 1, count: 1 << 20).wait() == 0)
        #expect(await fixture.write(other, 2, count: 1 << 20).wait() == 0)
        let lun = fixture.lun
        lun.state.withLock { $0.reads = .hang }
        let reads = (0..<160).map { fixture.read(file, at: $0 * 4096) }
        #expect(await eventually { lun.state.withLock { $0.held.count >= 120 } })
        let began = ContinuousClock.now
        for read in reads { #expect(await read.wait() == 1) }
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(fixture.volume.accessState.reasons == [.noDiskConnectivity])
        #expect(await fixture.read(other).wait(seconds: 1) == 2)
        #expect(await fixture.write(other, 3).wait(seconds: 1) == 0)
        #expect(await fixture.read(other).wait(seconds: 1) == 3)
        // What hung ends at last, over data that are no longer those: nobody sees it.
        lun.setAll(.ok)
        lun.release(landing: true)
        #expect(await fixture.becomes(.direct))
        let again = (0..<160).map { fixture.read(other, at: 4096 + $0 * 4096) }
        for read in again { #expect(await read.wait() == 2) }
        await fixture.close(file)
        await fixture.close(other)
        await fixture.end()
    }

    /// The proof ends the write at the target; whether this node's kernel hears of it or not.
    @Test(arguments: [true, false]) func hungWriteWaitsForProof(_ endsInKernel: Bool) async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        let (lun, coordinator) = (fixture.lun, fixture.coordinator)
        fixture.pathGuard.state.withLock { state in
            state.proves = false
            if endsInKernel {
                state.onFence = { lun.release(landing: false, error: .reservationConflict) }
            }
        }
        lun.setAll(.hang)
        let write = fixture.write(file, 2)
        #expect(await fixture.becomes(.redirected))
        #expect(await eventually { fixture.pathGuard.fences > 1 })
        #expect(write.value == nil && coordinator.count(\.isWrite) == 0)
        #expect(fixture.volume.accessState.waitingFor != nil)
        fixture.pathGuard.state.withLock { $0.proves = true }
        #expect(await write.wait() == 0)
        #expect(coordinator.count(\.isWrite) == 1)
        #expect(fixture.onImage(1) == 2)
        if !endsInKernel {
            // Not before the kernel has let go of it may the path have a key again.
            lun.setAll(.ok)
            try await Task.sleep(for: .seconds(2))
            #expect(fixture.volume.accessState.state == .redirected)
            lun.release(landing: false)
        }
        lun.setAll(.ok)
        #expect(await fixture.becomes(.direct))
        #expect(await fixture.read(file).wait() == 2)
        await fixture.close(file)
        await fixture.end()
    }

    /// It was merely slow: it counts, and nobody is fenced for it.
    @Test func hungWriteThatLandsIsAnswered() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        let lun = fixture.lun
        fixture.pathGuard.state.withLock { $0.proves = false }
        lun.state.withLock { $0.writes = .hang }
        let write = fixture.write(file, 2)
        #expect(await fixture.becomes(.redirected))
        lun.setAll(.ok)
        lun.release(landing: true)
        #expect(await write.wait(seconds: 1) == 0)
        #expect(fixture.coordinator.count(\.isWrite) == 0)
        #expect(fixture.onImage(1) == 2)
        #expect(fixture.volume.accessState.waitingFor == nil)
        #expect(await fixture.becomes(.direct))
        await fixture.close(file)
        await fixture.end()
    }

    /// A recall is answered although I/O hangs: reads are left behind, writes are fenced.
    @Test(arguments: [true, false]) func recallEnds(_ writes: Bool) async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        let lun = fixture.lun
        lun.setAll(.hang)
        let hung = writes ? fixture.write(file, 2) : fixture.read(file)
        #expect(await eventually { lun.state.withLock { !$0.held.isEmpty } })
        let began = ContinuousClock.now
        let report = await fixture.volume.recall(
            FakeCoordinator.handle(1), .everything, LayoutGeneration(1000))
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(report.grownSizeBytes == nil)
        #expect((fixture.pathGuard.fences > 0) == writes)
        #expect(await hung.wait() == (writes ? 0 : 1))
        lun.setAll(.ok)
        lun.release(landing: false)
        await fixture.close(file)
        await fixture.end()
    }

    @Test func hungFlushGoesToTheCoordinator() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        fixture.lun.state.withLock { $0.flushes = .hang }
        let sync = fixture.sync(file)
        #expect(await eventually { fixture.lun.state.withLock { !$0.heldFlushes.isEmpty } })
        fixture.lun.state.withLock { $0.reads = .fail(.inputOutput) }
        #expect(await fixture.read(file).wait(seconds: 1) == 1)
        #expect(await sync.wait(seconds: 1) == 0, "the lost path takes its flushes along")
        #expect(fixture.coordinator.count(\.isSynchronize) == 1)
        fixture.lun.setAll(.ok)
        fixture.lun.release(landing: true)
        #expect(await fixture.becomes(.direct))
        await fixture.close(file)
        await fixture.end()
    }

    /// Probes that hang are left behind, and are not many.
    @Test func hungProbes() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        let lun = fixture.lun
        lun.setAll(.fail(.inputOutput))
        #expect(await fixture.read(file).wait(seconds: 1) == 1)
        lun.setAll(.hang)
        #expect(await eventually { lun.state.withLock { $0.held.count == 1 } })
        try await Task.sleep(for: .seconds(3))
        #expect(lun.state.withLock { $0.held.count } == 1, "one at a time")
        #expect(await eventually { lun.state.withLock { $0.held.count == 2 } })
        lun.setAll(.ok)
        lun.release(landing: true)
        #expect(await fixture.becomes(.direct))
        await fixture.close(file)
        await fixture.end()
    }

    /// A write whose failure was reported, and that lands later nevertheless, never covers newer data:
    /// rule failed-before-redirect, and its control.
    @Test(arguments: [true, false]) func lateWrite(_ holds: Bool) async throws {
        let fixture = try await VolumeFixture(
            rules: holds ? .all : .all.subtracting(.failedBeforeRedirect))
        let (file, lun) = (try await fixture.open("a"), fixture.lun)
        fixture.pathGuard.state.withLock { $0.onFence = { lun.fence() } }
        #expect(await fixture.write(file, 1).wait() == 0)
        lun.state.withLock { $0.writes = .late }
        #expect(await fixture.write(file, 2).wait() == 0)
        #expect(await fixture.write(file, 3).wait() == 0)
        lun.landLate()
        #expect(fixture.onImage(1) == (holds ? 3 : 2))
        await fixture.close(file)
        await fixture.end()
    }
}
