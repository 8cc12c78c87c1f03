import CLinux
import Glibc

/// A process that cannot be mistaken for a later one with its pid, not even after a reboot.
public struct ProcessIdentity: Codable, Sendable, Hashable {
    public let pid: Int32
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    public let startTicks: UInt64
    /// The boot that the ticks count from.
    public let bootID: String

    /// The process that has `pid` now, or nil when there is none, or only its remains.
    public init?(pid: Int32) {
        guard let stat = Self.stat(pid: pid), !stat.hasEnded else { return nil }
        self.pid = pid
        self.startTicks = stat.startTicks
        self.bootID = Self.currentBootID
    }

    init(pid: Int32, startTicks: UInt64, bootID: String) {
        self.pid = pid
        self.startTicks = startTicks
        self.bootID = bootID
    }

    /// This process.
    public static var current: ProcessIdentity {
        guard let identity = ProcessIdentity(pid: getpid()) else {
            preconditionFailure("/proc is not mounted")
        }
        return identity
    }

    /// Whether it runs. Takes the exit status of a child of ours that ended, so that no zombie
    /// stays.
    public var isAlive: Bool {
        guard let stat = currentStat else { return false }
        guard stat.hasEnded else { return true }
        var code: Int32 = 0
        var signal: Int32 = 0
        _ = covol_reap(pid, &code, &signal)
        return false
    }

    /// Whether it is stopped by a signal or a debugger.
    var isStopped: Bool { currentStat?.isStopped ?? false }

    /// Sends a signal to this very process. Returns false when it was gone already.
    @discardableResult
    public func signal(_ number: Int32) -> Bool {
        let opened = covol_pidfd_open(pid)
        guard opened >= 0 else { return false }
        let pidfd = Descriptor(owning: opened)
        // Looked at after the descriptor was opened: from here on it cannot become another.
        guard currentStat != nil else { return false }
        return covol_pidfd_signal(pidfd.number, number) == 0
    }

    private var currentStat: ProcessStat? {
        guard bootID == Self.currentBootID, let stat = Self.stat(pid: pid),
            stat.startTicks == startTicks
        else {
            return nil
        }
        return stat
    }

    private static func stat(pid: Int32) -> ProcessStat? {
        guard let text = try? SystemFile.text("/proc/\(pid)/stat") else { return nil }
        return ProcessStat(parsing: text)
    }

    static let currentBootID: String = {
        let text = (try? SystemFile.text("/proc/sys/kernel/random/boot_id")) ?? ""
        return String(text.prefix { !$0.isWhitespace })
    }()
}
