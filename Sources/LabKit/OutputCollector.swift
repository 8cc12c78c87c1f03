import CLinux
import Glibc

/// Takes a child's output while it runs, and its status when it ends. Used by one thread.
struct OutputCollector: ~Copyable {
    private let pid: Int32
    private let pidfd: Int32
    private let output: Int32
    private let errors: Int32
    private var outputOpen = true
    private var errorsOpen = true
    private(set) var outputBytes: [UInt8] = []
    private(set) var errorBytes: [UInt8] = []
    /// As shells count; nil while it runs.
    private(set) var status: Int32?
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// Borrows the descriptors: they stay open as long as the collector.
    init(pid: Int32, output: Int32, errors: Int32) {
        self.pid = pid
        self.output = output
        self.errors = errors
        self.pidfd = covol_pidfd_open(pid)
        for number in [output, errors] {
            _ = fcntl(number, F_SETFL, O_NONBLOCK)
        }
    }

    deinit { if pidfd >= 0 { close(pidfd) } }

    /// Returns true when the child has ended and its output is taken. A grandchild that keeps
    /// the pipes open does not delay this.
    mutating func collect(untilSeconds deadline: Double) -> Bool {
        while status == nil {
            reap()
            if status != nil { break }
            let remaining = deadline - Clock.nowSeconds
            guard remaining > 0 else { return false }
            var polled = [
                pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0),
                pollfd(fd: outputOpen ? output : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errorsOpen ? errors : -1, events: Int16(POLLIN), revents: 0),
            ]
            // Without a pidfd (none left) the status is asked for ten times a second instead.
            let limit = pidfd >= 0 ? remaining : min(remaining, 0.1)
            _ = poll(&polled, nfds_t(polled.count), Int32(max(1, (limit * 1000).rounded(.up))))
            drain()
        }
        drain()
        return true
    }

    private mutating func reap() {
        var code: Int32 = 0
        var signal: Int32 = 0
        let reaped = covol_reap(pid, &code, &signal)
        if reaped == pid {
            status = signal == 0 ? code : 128 + signal
        } else if reaped < 0 {
            // Someone else in this process took it: it ended, and its status is lost.
            status = 255
        }
    }

    private mutating func drain() {
        if outputOpen { outputOpen = Self.drain(output, into: &outputBytes, &buffer) }
        if errorsOpen { errorsOpen = Self.drain(errors, into: &errorBytes, &buffer) }
    }

    /// Returns false at the end of the stream. What exceeds the limit is dropped, yet read, so
    /// that the child does not block.
    private static func drain(
        _ number: Int32, into bytes: inout [UInt8], _ buffer: inout [UInt8]
    ) -> Bool {
        while true {
            let count = read(number, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count != 0 else { return false }
            guard count > 0 else { return true }
            let room = LabLimits.maximumOutputBytes - bytes.count
            bytes.append(contentsOf: buffer[..<min(count, room)])
        }
    }
}
