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

    /// Others that are in progress do not hold a change up that shows nothing of them; a flush that began
    /// before its end does not count for it.
    @Test func whatShowsItselfAloneWaitsForItsOwnFlush() throws {
        let flushes = Mutex(0)
        let (began, mayEnd) = (Semaphore(), Semaphore())
        let commit = GroupCommit { () throws(ErrorCode) in
            flushes.withLock { $0 += 1 }
            began.signal()
            mayEnd.wait()
        }
        let called = Mutex<[String]>([])
        let ends = Semaphore()
        func note(_ name: String) -> GroupCommit.Completion {
            { isDurable in
                called.withLock { $0.append(isDurable ? name : "failed") }
                ends.signal()
            }
        }
        let (slow, first, second) = (commit.begin(), commit.begin(), commit.begin())
        commit.end(first)
        commit.whenDurable(only: first, note("first"))
        began.wait()
        // During the first flush.
        commit.end(second)
        commit.whenDurable(only: second, note("second"))
        commit.whenDurable(note("all"))
        mayEnd.signal()
        ends.wait()
        #expect(called.withLock { $0 } == ["first"])
        began.wait()
        mayEnd.signal()
        ends.wait()
        #expect(called.withLock { $0 } == ["first", "second"])
        // What is durable already waits for nothing.
        commit.whenDurable(only: second, note("again"))
        ends.wait()
        #expect(called.withLock { $0.last } == "again")
        commit.end(slow)
        began.wait()
        mayEnd.signal()
        ends.wait()
        #expect(called.withLock { $0.last } == "all")
        #expect(flushes.withLock { $0 } == 3)
        commit.stop()
    }

    @Test func aFailedFlushFailsWhatWaitsForItself() throws {
        let commit = GroupCommit { () throws(ErrorCode) in throw .inputOutput }
        let result = Mutex<Bool?>(nil)
        let ends = Semaphore()
        let number = commit.begin()
        commit.end(number)
        commit.whenDurable(only: number) { isDurable in
            result.withLock { $0 = isDurable }
            ends.signal()
        }
        ends.wait()
        #expect(result.withLock { $0 } == false)
        commit.stop()
    }
}
