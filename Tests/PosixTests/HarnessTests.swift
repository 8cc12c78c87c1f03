import Foundation
import Testing

/// The suite's own parts: a check that expects the wrong thing fails, and a call that hangs ends.
@Suite struct PosixHarnessTests {
    private func caller(_ report: Report, abort: @escaping @Sendable () -> Void = {}) throws
        -> Caller
    {
        let seat = Seat(
            directory: "/tmp", otherDirectory: "/tmp", isVolume: false, abort: abort)
        return try Caller(directory: "/tmp", seat: seat, report: report)
    }

    @Test func wrongExpectationsAreReported() throws {
        let report = Report()
        let caller = try caller(report)
        caller.stat(".").ok()
        caller.stat("covol-posix-missing").fails(ENOENT)
        #expect(report.failures.isEmpty)
        caller.stat("covol-posix-missing").ok()
        caller.stat("covol-posix-missing").fails(EACCES, EPERM)
        caller.stat(".").fails(ENOENT)
        caller.call("getcwd", .room(100), .number(100)).returns(9)
        caller.call("getcwd", .room(100), .number(100)).brings(Array("/tmq\0".utf8))
        #expect(report.failures.count == 5)
        #expect(report.failures[1].message.hasSuffix("expected EACCES or EPERM, got ENOENT"))
        #expect(report.failures[4].message.contains("byte 3 to be 113, not 112"))
    }

    @Test func hangingCallsEnd() throws {
        let report = Report()
        nonisolated(unsafe) var isAborted = false  // Sound: this thread alone runs the closure.
        let caller = try caller(report) { isAborted = true }
        let minute = encoded(Int64(60)) + encoded(Int64(0))
        caller.start("nanosleep", [.bytes(minute), .number(0)])
        caller.finish(withinSeconds: 0.2).ok()
        #expect(isAborted && report.isHung)
        #expect(report.failures.count == 1, "what comes after a hang says nothing more")
        caller.stat(".").ok()
        #expect(report.failures.count == 1)
        caller.end()
        #expect(kill(caller.pid, 0) != 0 && errno == ESRCH)
    }
}
