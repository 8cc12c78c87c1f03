import FUSE
import Glibc
import Testing
import VolumeModel
import VolumeMount

/// A path that fails: nobody sees an error, nothing is lost, and I/O is direct again by itself.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct PathLossTests {
    @Test func failedReadIsRedirectedAndThePathComesBack() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await fixture.read(file).wait() == 1)
        #expect(fixture.volume.counts.directReads == 1)
        fixture.lun.setAll(.fail(.inputOutput))
        #expect(await fixture.read(file).wait(seconds: 1) == 1)
        #expect(
            fixture.volume.accessState
                == MountState(
                    state: .redirected, reasons: [.noDiskConnectivity]))
        #expect(await fixture.write(file, 2).wait(seconds: 1) == 0)
        #expect(await fixture.read(file).wait(seconds: 1) == 2)
        #expect(fixture.onImage(1) == 2)
        #expect(fixture.pathGuard.fences == 0, "no write was under way")
        fixture.lun.setAll(.ok)
        #expect(await fixture.becomes(.direct))
        let before = fixture.volume.counts
        #expect(await fixture.write(file, 3).wait() == 0)
        #expect(await fixture.read(file).wait() == 3)
        let counts = fixture.volume.counts
        #expect(counts.directWrites == before.directWrites + 1)
        #expect(counts.redirectedReads == before.redirectedReads)
        #expect(counts.pathFailures == 1 && counts.pathRestores == 1)
        #expect(fixture.statesTold.map(\.state) == [.redirected, .direct])
        await fixture.close(file)
        await fixture.end()
    }

    /// Rule failed-before-redirect, and its control.
    @Test(arguments: [true, false]) func failedWriteWaitsForProof(_ holds: Bool) async throws {
        let fixture = try await VolumeFixture(
            rules: holds ? .all : .all.subtracting(.failedBeforeRedirect))
        let (file, other) = (try await fixture.open("a"), try await fixture.open("b"))
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await fixture.write(other, 1).wait() == 0)
        fixture.pathGuard.state.withLock { $0.proves = false }
        fixture.lun.setAll(.fail(.inputOutput))
        let write = fixture.write(file, 2)
        let coordinator = fixture.coordinator
        if holds {
            #expect(await fixture.becomes(.redirected, seconds: 1))
            #expect(await eventually { fixture.pathGuard.fences > 1 })
            #expect(write.value == nil)
            #expect(fixture.volume.accessState.waitingFor?.contains("proof") == true)
            #expect(coordinator.count(\.isWrite) == 0)
            #expect(await fixture.write(other, 3).wait(seconds: 1) == 0, "others go on")
            #expect(fixture.onImage(1) == 1)
            fixture.pathGuard.state.withLock { $0.proves = true }
        }
        #expect(await write.wait() == 0)
        #expect(fixture.onImage(1) == 2)
        #expect(coordinator.count(\.isWrite) == (holds ? 2 : 1))
        #expect(fixture.volume.accessState.waitingFor == nil)
        #expect((fixture.pathGuard.fences > 0) == holds)
        fixture.lun.setAll(.ok)
        #expect(await fixture.becomes(.direct))
        await fixture.close(file)
        await fixture.close(other)
        await fixture.end()
    }

    @Test func targetsOwnErrorIsRedirectedAlone() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.read(file).wait() == 0)
        fixture.lun.state.withLock { $0.writes = .fail(.remoteIO) }
        #expect(await fixture.write(file, 2).wait(seconds: 1) == 0)
        #expect(fixture.volume.accessState == MountState(state: .direct))
        fixture.lun.state.withLock { $0.reads = .fail(.noData) }
        #expect(await fixture.read(file).wait(seconds: 1) == 2)
        #expect(fixture.volume.accessState == MountState(state: .direct))
        #expect(fixture.pathGuard.fences == 0)
        #expect(fixture.volume.counts.redirectedWrites == 1)
        await fixture.close(file)
        await fixture.end()
    }

    /// A path that was fenced: nothing lands, and only a new key helps.
    @Test func reservationConflict() async throws {
        let fixture = try await VolumeFixture()
        let file = try await fixture.open("a")
        #expect(await fixture.read(file).wait() == 0)
        fixture.pathGuard.state.withLock { $0.restores = false }
        fixture.lun.setAll(.fail(.reservationConflict))
        #expect(await fixture.write(file, 2).wait(seconds: 1) == 0)
        #expect(fixture.volume.accessState.reasons == [.noDiskConnectivity])
        #expect(fixture.pathGuard.fences == 0)
        let pathGuard = fixture.pathGuard
        #expect(await eventually { pathGuard.state.withLock { $0.restored > 0 } })
        fixture.lun.setAll(.ok)
        try await Task.sleep(for: .milliseconds(300))
        #expect(fixture.volume.accessState.state == .redirected, "without a key it stays so")
        pathGuard.state.withLock { $0.restores = true }
        #expect(await fixture.becomes(.direct))
        await fixture.close(file)
        await fixture.end()
    }

    /// Growth goes back when the path is lost, and comes to the size that was reached.
    @Test func growthIsReturned() async throws {
        let fixture = try await VolumeFixture()
        let coordinator = fixture.coordinator
        coordinator.add("grown", 9, sizeBytes: 0)
        coordinator.state.withLock { $0.grantsGrowth = true }
        let file = try await fixture.open("grown")
        #expect(await fixture.write(file, 1, at: 0, count: 8192).wait() == 0)
        #expect(fixture.volume.counts.directWrites == 1)
        #expect(coordinator.state.withLock { $0.sizes[9] } == 0)
        fixture.lun.setAll(.fail(.inputOutput))
        #expect(await fixture.write(file, 2, at: 8192).wait(seconds: 3) == 0)
        #expect(coordinator.state.withLock { $0.growths[9] } == nil)
        #expect(coordinator.state.withLock { $0.sizes[9] } == 12288)
        #expect(await fixture.read(file, at: 0, count: 8192).wait() == 1)
        #expect(await fixture.read(file, at: 8192).wait() == 2)
        await fixture.close(file)
        await fixture.end()
    }

    @Test func fsyncGoesToTheCoordinator() async throws {
        let fixture = try await VolumeFixture()
        let coordinator = fixture.coordinator
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await fixture.sync(file).wait() == 0)
        #expect(coordinator.count(\.isSynchronize) == 0)
        #expect(fixture.lun.state.withLock { $0.flushCount } == 1)
        fixture.lun.state.withLock { $0.flushes = .fail(.inputOutput) }
        #expect(await fixture.sync(file).wait(seconds: 1) == 0)
        #expect(coordinator.count(\.isSynchronize) == 1)
        #expect(fixture.volume.accessState.reasons == [.noDiskConnectivity])
        #expect(await fixture.sync(file).wait(seconds: 1) == 0)
        #expect(coordinator.count(\.isSynchronize) == 2)
        fixture.lun.setAll(.ok)
        #expect(await fixture.becomes(.direct))
        let flushes = fixture.lun.state.withLock { $0.flushCount }
        #expect(await fixture.sync(file).wait() == 0)
        #expect(
            fixture.lun.state.withLock { $0.flushCount } == flushes + 1, "on the new descriptor")
        fixture.lun.state.withLock { $0.flushes = .fail(.remoteIO) }
        #expect(
            await fixture.sync(file).wait(seconds: 1) == ErrorCode.remoteIO.number,
            "what the target could not make durable is not durable")
        await fixture.close(file)
        await fixture.end()
    }

    /// The mount is over, and a write may still land: a recall must not be answered before the proof.
    @Test func unprovenWriteOutlivesTheMount() async throws {
        let fixture = try await VolumeFixture()
        let (file, volume) = (try await fixture.open("a"), fixture.volume)
        #expect(await fixture.write(file, 1).wait() == 0)
        fixture.pathGuard.state.withLock { $0.proves = false }
        fixture.lun.setAll(.fail(.inputOutput))
        let write = fixture.write(file, 2)
        #expect(await fixture.becomes(.redirected))
        #expect(await eventually { fixture.pathGuard.fences > 0 })
        try volume.abort()
        #expect(await write.wait() != 0)
        await fixture.close(file)
        #expect(await fixture.waitForEnd())
        let recalled = Task {
            _ = await volume.recall(
                FakeCoordinator.handle(1), .everything, LayoutGeneration(1000))
            return ContinuousClock.now
        }
        try await Task.sleep(for: .milliseconds(300))
        let proven = ContinuousClock.now
        fixture.pathGuard.state.withLock { $0.proves = true }
        #expect(await recalled.value >= proven)
        #expect(fixture.coordinator.count(\.isWrite) == 0)
        await fixture.end()
    }
}
