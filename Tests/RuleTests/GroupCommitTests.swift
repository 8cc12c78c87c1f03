import Synchronization
import Testing
import VolumeModel

@testable import CoordinatorService

/// What waits for which flush (rule durable-before-shown).
@Suite(.timeLimit(.minutes(1))) struct GroupCommitTests {
    private func file(_ number: UInt8) throws -> FileHandle {
        try #require(FileHandle(kind: 1, bytes: [number]))
    }

    @Test func whatShowsOtherInodesDoesNotWait() throws {
        let commit = GroupCommit { () throws(ErrorCode) in }
        let (changed, other) = (try file(1), try file(2))
        let called = Mutex<[String]>([])
        let number = commit.begin(changing: [changed])
        commit.whenDurable(showing: [other]) { _ in called.withLock { $0.append("other") } }
        #expect(called.withLock { $0 } == ["other"])
        let ends = Semaphore()
        commit.whenDurable(showing: [other, changed]) { isDurable in
            called.withLock { $0.append(isDurable ? "changed" : "failed") }
            ends.signal()
        }
        commit.whenDurable { _ in ends.signal() }
        #expect(called.withLock { $0 } == ["other"])
        commit.end(number)
        ends.wait()
        ends.wait()
        #expect(called.withLock { $0 } == ["other", "changed"])
        commit.whenDurable(showing: [changed]) { _ in called.withLock { $0.append("after") } }
        #expect(called.withLock { $0.last } == "after")
        commit.stop()
    }
}
