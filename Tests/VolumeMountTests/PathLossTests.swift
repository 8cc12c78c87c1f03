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
        close(file)
        await fixture.end()
    }
}
