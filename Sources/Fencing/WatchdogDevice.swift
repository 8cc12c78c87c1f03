import CLinux
import Glibc

/// A hardware watchdog: resets the machine unless it is told in time that all is well.
///
/// The kernel's `Documentation/watchdog/watchdog-api.rst`. Methods may be called from any thread.
public protocol WatchdogDevice: Sendable {
    /// What the driver calls itself.
    var identity: String { get }
    /// Whether it can be stopped by closing it properly (WDIOF_MAGICCLOSE).
    var hasMagicClose: Bool { get }
    /// Sets how long it waits, and returns what the driver took; drivers round.
    func setTimeout(seconds: Int) throws(FenceError) -> Int
    func keepAlive() throws(FenceError)
    /// Stops it and closes it.
    func stop() throws(FenceError)
}

/// `/dev/watchdog`. Opening it starts it.
public final class LinuxWatchdogDevice: WatchdogDevice {
    public let identity: String
    public let hasMagicClose: Bool
    private let number: Int32
    private let path: String

    /// - Throws: `unsupported` where there is none, another program has it, or its time cannot be
    ///   set.
    public init(path: String = "/dev/watchdog") throws(FenceError) {
        let number = open(path, O_WRONLY | O_CLOEXEC)
        guard number >= 0 else {
            let reason = text(ofErrno: errno)
            throw .unsupported(
                "\(path) cannot be opened (\(reason)): a fence by watchdog needs one that no other "
                    + "program has open; `softdog` is no hardware and does not count")
        }
        var options: UInt32 = 0
        var name = [CChar](repeating: 0, count: 33)
        let result = covol_watchdog_support(number, &options, &name)
        guard result == 0, options & covol_watchdog_has_set_timeout != 0 else {
            // Opening started it. Where it can be stopped, do not leave it running.
            _ = write(number, "V", 1)
            close(number)
            throw .unsupported(
                result == 0
                    ? "\(path): its time cannot be set"
                    : "\(path) is no watchdog: \(text(ofErrno: -result))")
        }
        self.number = number
        self.path = path
        hasMagicClose = options & covol_watchdog_has_magic_close != 0
        identity = String(
            decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // Without the magic character the driver goes on: a daemon that dies resets its machine.
    deinit { close(number) }

    public func setTimeout(seconds: Int) throws(FenceError) -> Int {
        var value = Int32(seconds)
        try checked(covol_watchdog_set_timeout(number, &value))
        // Some drivers take the call and change nothing: ask what counts.
        try checked(covol_watchdog_get_timeout(number, &value))
        return Int(value)
    }

    public func keepAlive() throws(FenceError) {
        try checked(covol_watchdog_keep_alive(number))
    }

    public func stop() throws(FenceError) {
        guard write(number, "V", 1) == 1 else {
            throw .transport("\(path) could not be stopped: \(text(ofErrno: errno))")
        }
        // The close that stops it is in deinit: the owner lets go of the device after this.
    }

    private func checked(_ result: Int32) throws(FenceError) {
        guard result == 0 else { throw .transport("\(path): \(text(ofErrno: -result))") }
    }
}
