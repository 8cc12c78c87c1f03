import CLinux
import FUSE
import Glibc
import Synchronization
import Testing
import VolumeModel

@Suite struct LUNFlusherTests {
    @Test func tellsTheError() async {
        await #expect(throws: ErrorCode.badDescriptor) {
            try await LUNFlusher(descriptor: -1).flush()
        }
    }

    @Test func everyFlushEndsOnce() throws {
        let descriptor = covol_memfd("covol-flusher-test")
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let flusher = LUNFlusher(descriptor: descriptor)
        final class Shared: Sendable {
            let ends = Mutex((count: 0, failures: 0))
        }
        let shared = Shared()
        for round in 0..<500 {
            flusher.flush { error in
                shared.ends.withLock {
                    $0.count += 1
                    $0.failures += error == nil ? 0 : 1
                }
            }
            if round % 50 == 0 { usleep(2000) }
        }
        #expect(eventually { shared.ends.withLock { $0.count == 500 } })
        usleep(10_000)
        #expect(shared.ends.withLock { $0.count } == 500)
        #expect(shared.ends.withLock { $0.failures } == 0)
    }
}
