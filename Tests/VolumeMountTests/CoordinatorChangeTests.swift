import FUSE
import Glibc
import NIOCore
import Testing
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A coordinator that goes and another that comes: what a node holds it keeps.
@Suite(
    .enabled(if: VolumeFixture.canMount, "needs root and /dev/fuse"), .serialized,
    .timeLimit(.minutes(3)))
struct CoordinatorChangeTests {
    private func lock(_ descriptor: Int32, _ start: Int, _ length: Int, _ type: Int32) -> Int32 {
        var lock = flock()
        lock.l_type = Int16(type)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = off_t(start)
        lock.l_len = off_t(length)
        return fcntl(descriptor, F_SETLK, &lock) == 0 ? 0 : errno
    }

    @Test func everythingIsKeptAndTold() async throws {
        let fixture = try await VolumeFixture()
        let (coordinator, volume) = (fixture.coordinator, fixture.volume)
        let (file, other) = (try await fixture.open("a"), try await fixture.open("b"))
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await Outcome({ self.lock(file, 0, 100, F_WRLCK) }).wait() == 0)
        #expect(await Outcome({ self.lock(file, 50, 10, F_UNLCK) }).wait() == 0)
        coordinator.state.withLock { $0.isAway = true }
        await volume.leave()
        let before = coordinator.operations.count
        #expect(await fixture.write(file, 2).wait(seconds: 1) == 0, "mapped: no coordinator")
        #expect(await fixture.read(file).wait(seconds: 1) == 2)
        #expect(await fixture.sync(file).wait(seconds: 1) == 0)
        let waiting = fixture.read(other)
        try await Task.sleep(for: .milliseconds(200))
        #expect(waiting.value == nil, "unmapped: the coordinator is asked")
        #expect(coordinator.operations.count == before)
        #expect(
            await volume.join(epoch: 1, through: ReclaimLink(coordinator, fails: true)) == false)
        #expect(await volume.join(epoch: 1, through: ReclaimLink(coordinator)))
        let told = Array(coordinator.operations[before...])
        #expect(told.filter(\.isOpen).count == 2)
        #expect(
            told.filter(\.isReclaimLayout) == [
                .reclaimLayout(
                    FakeCoordinator.handle(1), [ByteRange(start: 0, end: .max)], growth: nil)
            ])
        let locks = told.compactMap { operation -> ClosedRange<UInt64>? in
            guard case .reclaimLock(let lock) = operation else { return nil }
            return lock.startBytes...lock.lastBytes
        }
        #expect(Set(locks) == [0...49, 60...99])
        #expect(told.last == .reclaimed)
        #expect(waiting.value == nil)
        coordinator.state.withLock { $0.isAway = false }
        #expect(await waiting.wait() == 0)
        // It counts from the start again.
        coordinator.state.withLock { $0.generation = 0 }
        #expect(await fixture.write(file, 3).wait() == 0)
        _ = await volume.recall(FakeCoordinator.handle(1), .everything, LayoutGeneration(1))
        coordinator.state.withLock { $0.generation = 1 }
        let directReads = volume.counts.directReads
        #expect(await fixture.read(file).wait() == 3)
        #expect(volume.counts.directReads == directReads + 1)
        await fixture.close(file)
        await fixture.close(other)
        await fixture.end()
    }

    /// The old coordinator's grant arrives late: it is worth nothing.
    @Test func lateGrantIsDropped() async throws {
        let fixture = try await VolumeFixture()
        let (coordinator, volume) = (fixture.coordinator, fixture.volume)
        let file = try await fixture.open("a")
        coordinator.state.withLock { $0.isAway = true }
        let read = fixture.read(file)
        try await Task.sleep(for: .milliseconds(200))
        await volume.leave()
        coordinator.state.withLock { $0.isAway = false }
        #expect(await read.wait() == 0)
        #expect(coordinator.count(\.isLayoutGet) == 1)
        #expect(volume.counts.directReads == 0)
        #expect(volume.counts.redirectedReads == 1)
        let before = coordinator.operations.count
        #expect(await volume.join(epoch: 1, through: ReclaimLink(coordinator)))
        let told = coordinator.operations[before...]
        #expect(told.contains { $0.isOpen } && !told.contains { $0.isReclaimLayout })
        await fixture.close(file)
        await fixture.end()
    }

    /// A growth that is held is told with its bounds, and goes on.
    @Test func growthIsKept() async throws {
        let fixture = try await VolumeFixture()
        let (coordinator, volume) = (fixture.coordinator, fixture.volume)
        coordinator.add("grown", 9, sizeBytes: 0)
        coordinator.state.withLock { $0.grantsGrowth = true }
        let file = try await fixture.open("grown")
        #expect(await fixture.write(file, 1, at: 0, count: 65536).wait() == 0)
        #expect(await fixture.write(file, 1, at: 65536, count: 65536).wait() == 0)
        coordinator.state.withLock { $0.isAway = true }
        await volume.leave()
        #expect(await fixture.write(file, 2, at: 131072).wait(seconds: 1) == 0, "still its own")
        let before = coordinator.operations.count
        #expect(await volume.join(epoch: 1, through: ReclaimLink(coordinator)))
        let claim = coordinator.operations[before...].compactMap { operation -> GrowthClaim? in
            guard case .reclaimLayout(_, _, let growth) = operation else { return nil }
            return growth
        }
        #expect(claim.first?.visibleSizeBytes == 0)
        #expect(claim.first.map { $0.allocatedEndBytes >= 135168 } == true)
        coordinator.state.withLock { $0.isAway = false }
        #expect(await fixture.sync(file).wait() == 0)
        #expect(coordinator.state.withLock { $0.sizes[9] } == 135168)
        await fixture.close(file)
        await fixture.end()
    }

    /// What the new coordinator refuses answers EIO for good; a new open is as good as any.
    @Test func refusedOpenIsLost() async throws {
        let fixture = try await VolumeFixture()
        let (coordinator, volume) = (fixture.coordinator, fixture.volume)
        let (file, other) = (try await fixture.open("a"), try await fixture.open("b"))
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await fixture.write(other, 1).wait() == 0)
        coordinator.state.withLock { $0.refused = [1] }
        await volume.leave()
        #expect(await volume.join(epoch: 1, through: ReclaimLink(coordinator)))
        coordinator.state.withLock { $0.refused = [] }
        #expect(await fixture.read(file).wait() == -EIO)
        #expect(await fixture.write(file, 2).wait() == EIO)
        #expect(await fixture.sync(file).wait() == EIO)
        #expect(await fixture.read(other).wait() == 1)
        #expect(volume.counts.lostOpens == 1)
        let again = try await fixture.open("a")
        #expect(await fixture.read(again).wait() == 1)
        #expect(await fixture.read(file).wait() == -EIO)
        await fixture.close(file, other, again)
        await fixture.end()
    }

    /// A node that was fenced while it lived.
    @Test func everythingIsLost() async throws {
        let fixture = try await VolumeFixture()
        let (lun, volume) = (fixture.lun, fixture.volume)
        let file = try await fixture.open("a")
        #expect(await fixture.write(file, 1).wait() == 0)
        #expect(await Outcome({ self.lock(file, 0, 100, F_WRLCK) }).wait() == 0)
        lun.state.withLock { $0.writes = .hang }
        let write = fixture.write(file, 2)
        #expect(await eventually { lun.state.withLock { !$0.held.isEmpty } })
        let losing = Task { await volume.loseEverything() }
        try await Task.sleep(for: .milliseconds(200))
        lun.setAll(.ok)
        let before = fixture.coordinator.operations.count
        lun.release(landing: false, error: .reservationConflict)
        await losing.value
        #expect(await write.wait() == EIO)
        #expect(await fixture.read(file).wait() == -EIO)
        #expect(await volume.join(epoch: 1, through: ReclaimLink(fixture.coordinator)))
        let told = Array(fixture.coordinator.operations[before...])
        #expect(told == [.reclaimed])
        let again = try await fixture.open("a")
        #expect(await fixture.read(again).wait() == 1)
        await fixture.close(file)
        await fixture.close(again)
        await fixture.end()
    }

    /// However much waits for a coordinator: what needs none goes on.
    @Test func slotsAreForWhatGoesOn() async throws {
        let fixture = try await VolumeFixture()
        let (coordinator, volume) = (fixture.coordinator, fixture.volume)
        let (file, other) = (try await fixture.open("a"), try await fixture.open("b"))
        #expect(await fixture.write(file, 1).wait() == 0)
        coordinator.state.withLock { $0.isAway = true }
        // Also before anybody has noticed that it is gone.
        let early = (0..<200).map { fixture.read(other, at: $0 * 4096) }
        try await Task.sleep(for: .milliseconds(300))
        #expect(await fixture.read(file).wait(seconds: 2) == 1)
        await volume.leave()
        let late = (0..<200).map { fixture.write(other, 4, at: $0 * 4096 + 4) }
        try await Task.sleep(for: .milliseconds(300))
        #expect(await fixture.write(file, 2).wait(seconds: 2) == 0)
        #expect(await fixture.read(file).wait(seconds: 2) == 2)
        #expect(early.allSatisfy { $0.value == nil } && late.allSatisfy { $0.value == nil })
        #expect(await volume.join(epoch: 1, through: ReclaimLink(coordinator)))
        coordinator.state.withLock { $0.isAway = false }
        for read in early { #expect(await read.wait() != -EIO) }
        for write in late { #expect(await write.wait() == 0) }
        await fixture.close(file)
        await fixture.close(other)
        await fixture.end()
    }
}
