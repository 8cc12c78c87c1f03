import Fencing
import Foundation
import Glibc
import MachineSupervision

/// The lab's fence without a simulator: a node is a process of this machine. It is killed, and is gone
/// when the kernel has given back everything it had.
enum ProcessFence {
    private static let waitSeconds = 10.0

    /// This process, as ``end(_:startedAt:)`` wants it.
    static var own: (process: Int32, start: UInt64)? {
        let process = getpid()
        return startTime(process).map { (process, $0) }
    }

    /// Kills a process, if it is still the one that was started then, and waits for its end. Blocks.
    static func end(_ process: Int32, startedAt start: UInt64) -> FenceOutcome {
        guard startTime(process) == start else {
            return .proven("its process \(process) is gone")
        }
        guard process != getpid() else { return .notProven("that is this process") }
        kill(process, SIGKILL)
        let deadline = Date().addingTimeInterval(waitSeconds)
        while Date() < deadline {
            if startTime(process) != start { return .proven("its process \(process) was killed") }
            usleep(20_000)
        }
        return .notProven("its process \(process) does not end")
    }

    /// When a process was started, in clock ticks, proc_pid_stat(5); nil where it is gone, or has
    /// nothing left but its exit status.
    static func startTime(_ process: Int32) -> UInt64? {
        ProcessLife(of: process)?.start
    }
}
