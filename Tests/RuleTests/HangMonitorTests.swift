import Glibc
import Synchronization
import Testing
import VolumeModel

@testable import CoordinatorService

/// A LUN that hangs is told from work that takes long.
@Suite struct HangMonitorTests {
    private static let limits = HangMonitor.Limits(
        stepSeconds: 0.05, readSeconds: 0.1, lookSeconds: 0.01)

    private final class Lost: Sendable {
        let errors = Mutex<[ErrorCode]>([])
        let reads = Mutex(0)
    }

    private func run(
        stepSeconds: Double, _ read: @escaping @Sendable (Lost) throws(ErrorCode) -> Void
    ) -> Lost {
        let lost = Lost()
        let monitor = HangMonitor(limits: Self.limits) { () throws(ErrorCode) in
            lost.reads.withLock { $0 += 1 }
            try read(lost)
        }
        monitor.start { error in lost.errors.withLock { $0.append(error) } }
        monitor.step { _ = usleep(UInt32(stepSeconds * 1e6)) }
        monitor.stop()
        return lost
    }

    @Test func quickWorkIsNotLookedInto() {
        let lost = run(stepSeconds: 0.001) { _ in }
        #expect(lost.reads.withLock { $0 } == 0 && lost.errors.withLock { $0.isEmpty })
    }

    @Test func longWorkOnALUNThatAnswers() {
        let lost = run(stepSeconds: 0.5) { _ in }
        #expect(lost.reads.withLock { $0 } > 1 && lost.errors.withLock { $0.isEmpty })
    }

    @Test func aReadThatFails() {
        let lost = run(stepSeconds: 0.5) { _ throws(ErrorCode) in throw .inputOutput }
        #expect(lost.errors.withLock { $0 } == [.inputOutput])
    }

    @Test func aReadThatHangs() {
        let lost = run(stepSeconds: 1) { _ in usleep(800_000) }
        #expect(lost.errors.withLock { $0 } == [.timedOut])
    }
}
