import FUSE
import Glibc
import Testing
import VolumeModel
import VolumeMount

/// A volume that is redirected as a whole, or whose node's lease has lapsed.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct RedirectedVolumeTests {
    @Test func nobodyTouchesTheLUN() async throws {
        let fixture = try await VolumeFixture()
        let (file, lun) = (try await fixture.open("a"), fixture.lun)
        #expect(await fixture.write(file, 1).wait() == 0)
        // Returns when the last direct I/O has ended.
        lun.state.withLock { $0.writes = .hang }
        let write = fixture.write(file, 2)
        #expect(await eventually { lun.state.withLock { !$0.held.isEmpty } })
        let volume = fixture.volume
        let redirecting = Task {
            await volume.setRedirected([.userRequest])
            return ContinuousClock.now
        }
        #expect(await fixture.becomes(.redirected))
        try await Task.sleep(for: .milliseconds(300))
        #expect(write.value == nil)
        let released = ContinuousClock.now
        lun.setAll(.ok)
        lun.release(landing: true)
        #expect(await redirecting.value >= released)
        #expect(await write.wait() == 0)
        let before = lun.state.withLock { ($0.readCount, $0.writeCount, $0.flushCount) }
        #expect(await fixture.write(file, 3).wait() == 0)
        #expect(await fixture.read(file).wait() == 3)
        #expect(await fixture.sync(file).wait() == 0)
        // Not even to see whether a path has come back.
        try await Task.sleep(for: .seconds(2))
        let after = lun.state.withLock { ($0.readCount, $0.writeCount, $0.flushCount) }
        #expect(before == after)
        #expect(fixture.coordinator.count(\.isSynchronize) == 1)
        #expect(fixture.coordinator.count(\.isLayoutGet) == 1)
        await volume.setRedirected([.userRequest, .snapshot])
        await volume.setRedirected([.snapshot])
        #expect(volume.accessState == MountState(state: .redirected, reasons: [.snapshot]))
        await volume.setRedirected([])
        #expect(volume.accessState == MountState(state: .direct))
        #expect(await fixture.read(file).wait() == 3)
        #expect(lun.state.withLock { $0.readCount } == after.0 + 1)
        await fixture.close(file)
        await fixture.end()
    }

    /// Rule valid-at-completion, and its control.
    @Test(arguments: [true, false]) func readIsNotShownAfterTheLease(_ holds: Bool) async throws {
        let fixture = try await VolumeFixture(
            rules: holds ? .all : .all.subtracting(.validAtCompletion))
        let (file, lun) = (try await fixture.open("a"), fixture.lun)
        #expect(await fixture.write(file, 1).wait() == 0)
        lun.state.withLock { $0.reads = .hang }
        let read = fixture.read(file)
        #expect(await eventually { lun.state.withLock { !$0.held.isEmpty } })
        fixture.volume.suspendDirect()
        #expect(fixture.volume.accessState.reasons == [.noMembership])
        lun.setAll(.ok)
        lun.release(landing: true)
        #expect(await read.wait(seconds: 1) == 1)
        #expect(fixture.volume.counts.redirectedReads == (holds ? 1 : 0))
        fixture.volume.resumeDirect()
        #expect(fixture.volume.accessState == MountState(state: .direct))
        await fixture.close(file)
        await fixture.end()
    }

    /// Whoever was stopped together with its timers notices nevertheless.
    @Test func leaseEndsByItself() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        fixture.volume.allowDirect(untilNanoseconds: 1)
        #expect(await fixture.write(file, 2).wait() == 0)
        #expect(await fixture.read(file).wait() == 2)
        #expect(fixture.volume.counts.redirectedWrites == 1)
        #expect(fixture.volume.counts.directReads == 0)
        fixture.volume.allowDirect(untilNanoseconds: nil)
        #expect(await fixture.read(file).wait() == 2)
        #expect(fixture.volume.counts.directReads == 1)
        await fixture.close(file)
        await fixture.end()
    }
}
