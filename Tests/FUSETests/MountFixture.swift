import CLinux
import FUSE
import Glibc
import Logging
import Testing

/// A mounted toy file system in directories of its own. ``end()`` leaves nothing behind, whatever
/// state the mount is in.
final class MountFixture: Sendable {
    static var canMount: Bool { geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0 }

    /// What the tests of mounts run on: both where the kernel has FUSE over io_uring.
    static let transports: [FUSEMountOptions.Transport] =
        access("/sys/module/fuse/parameters/enable_uring", F_OK) == 0
        ? [.device, .uring] : [.device]

    let directory: String
    let image: String
    let toy: ToyFileSystem
    let mount: FUSEMount<ToyFileSystem>

    var path: String { directory + "/mount" }

    init(
        _ transport: FUSEMountOptions.Transport, options: FUSEMountOptions = FUSEMountOptions()
    ) throws {
        var options = options
        options.transport = transport
        let unique = "covol-fuse-\(getpid())-\(UInt64.random(in: .min ... .max))"
        directory = "/tmp/" + unique
        image = "/dev/shm/" + unique
        try #require(mkdir(directory, 0o755) == 0 && mkdir(directory + "/mount", 0o755) == 0)
        let descriptor = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        ftruncate(
            descriptor, off_t(ToyFileSystem.filesMaximum * ToyFileSystem.fileMaximumBytes))
        close(descriptor)
        toy = ToyFileSystem(image: image)
        do {
            var logger = Logger(label: "covolume.fuse.tests")
            logger.logLevel = .warning
            mount = try FUSEMount.mount(
                at: directory + "/mount", options: options, handler: toy, logger: logger)
        } catch {
            unlink(image)
            rmdir(directory + "/mount")
            rmdir(directory)
            throw error
        }
        #expect(mount.transport == (transport == .device ? .device : .uring))
    }

    /// Aborts what does not end by itself.
    func end() {
        let isEnded = { self.toy.state.withLock { !$0.endings.isEmpty } }
        if !isEnded() {
            if (try? mount.unmount()) == nil || !eventually(seconds: 5, isEnded) {
                try? mount.abort()
                try? mount.unmount(lazy: true)
                _ = eventually(seconds: 5, isEnded)
            }
        } else {
            try? mount.unmount(lazy: true)
        }
        unlink(image)
        rmdir(path)
        rmdir(directory)
    }

    /// Runs what may block on the mount on a thread of its own, for at most `seconds`.
    func bounded<Value: Sendable>(
        seconds: Double = 20, _ body: @escaping @Sendable (String) -> Value
    ) throws -> Value {
        let outcome = Outcome<Value>()
        let path = path
        TestThread.start { outcome.set(body(path)) }
        if let value = outcome.wait(seconds: seconds) { return value }
        try? mount.abort()
        throw TimedOut()
    }

    struct TimedOut: Error {}
}
