import CLinux
import FUSE
import Glibc
import Logging
import Synchronization
import Testing
import VolumeModel
import VolumeMount
import VolumeProtocol

/// A volume with files `a`, `b` and `c`, mounted over a LUN that fails on command. ``end()`` leaves
/// nothing behind, whatever state the mounts are in.
final class VolumeFixture: Sendable {
    static var canMount: Bool { geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0 }

    let directory: String
    let lun: FaultyLUN
    let coordinator: FakeCoordinator
    let pathGuard = TestGuard()
    let volume: VolumeMount
    private let lunMount: FUSEMount<FaultyLUN>
    private let image: Int32

    var path: String { directory + "/volume" }

    init(rules: SafetyRules = .all) async throws {
        let unique = "covol-mount-\(getpid())-\(UInt64.random(in: .min ... .max))"
        let directory = "/tmp/" + unique
        self.directory = directory
        let file = "/dev/shm/" + unique
        for path in [directory, directory + "/path", directory + "/volume"] {
            try #require(mkdir(path, 0o755) == 0)
        }
        image = Glibc.open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        unlink(file)
        ftruncate(image, off_t(FaultyLUN.sizeBytes))
        lun = FaultyLUN(image: image)
        coordinator = FakeCoordinator(image: image)
        for (number, name) in ["a", "b", "c"].enumerated() {
            coordinator.add(name, UInt8(number + 1))
        }
        var logger = Logger(label: "covolume.mount.tests")
        logger.logLevel = .critical
        let log = logger
        var options = FUSEMountOptions(sourceName: "lun")
        options.workers = 2
        options.slotsPerWorker = 256
        options.maximumBackground = 1024
        options.congestionThreshold = 1024
        lunMount = try FUSEMount.mount(
            at: directory + "/path", options: options, handler: lun, logger: log)
        // Opening the LUN waits for the server of this process: not on a thread of the pool.
        let shared = StateBox()
        let (link, pathGuard, ended) = (coordinator, pathGuard, EndBox())
        let made = Outcome<Result<VolumeMount, any Error>>(usesVolume: false) {
            Result {
                try VolumeMount(
                    device: directory + "/path/lun", path: directory + "/volume",
                    source: "volume", root: FakeCoordinator.handle(0), link: link,
                    pathGuard: pathGuard, rules: rules, log: log,
                    onState: { shared.add($0) }, onEnd: { _ in ended.end() })
            }
        }
        let result = await made.wait()
        volume = try #require(result).get()
        stateBox = shared
        endBox = ended
    }

    final class StateBox: Sendable {
        let states = Mutex<[MountState]>([])
        func add(_ state: MountState) { states.withLock { $0.append(state) } }
    }

    final class EndBox: Sendable {
        let hasEnded = Mutex(false)
        func end() { hasEnded.withLock { $0 = true } }
    }

    private let stateBox: StateBox
    private let endBox: EndBox

    /// Every state that was told, in order.
    var statesTold: [MountState] { stateBox.states.withLock { $0 } }

    func waitForEnd() async -> Bool {
        let endBox = endBox
        return await eventually(seconds: 5) { endBox.hasEnded.withLock { $0 } }
    }

    /// Aborts what does not end by itself.
    func end() async {
        lun.setAll(.ok)
        lun.release(landing: true)
        coordinator.state.withLock { $0.isAway = false }
        let (volume, lunMount) = (volume, lunMount)
        if await Outcome(usesVolume: false, { (try? volume.unmount(lazy: false)) != nil }).wait()
            != true
        {
            let aborted = Outcome(usesVolume: false) {
                try? volume.abort()
                try? volume.unmount(lazy: true)
            }
            _ = await aborted.wait()
        }
        if await !waitForEnd() {
            try? volume.abort()
            _ = await waitForEnd()
        }
        _ = await Outcome(usesVolume: false, { volume.closePath() }).wait()
        let lun = lun
        _ = await Outcome(usesVolume: false, { try? lunMount.unmount(lazy: true) }).wait()
        if await !eventually(seconds: 5, { lun.state.withLock { $0.hasEnded } }) {
            try? lunMount.abort()
        }
        Glibc.close(image)
        for path in [directory + "/path", directory + "/volume", directory] { rmdir(path) }
    }

    // MARK: Files

    /// Opens a file of the volume.
    func open(_ name: String) async throws -> Int32 {
        let path = path + "/" + name
        let opened = await Outcome({ Glibc.open(path, O_RDWR | O_CLOEXEC) }).wait()
        let descriptor = try #require(opened)
        try #require(descriptor >= 0, "\(name): errno \(errno)")
        return descriptor
    }

    func close(_ descriptors: Int32...) async {
        _ = await Outcome({ for descriptor in descriptors { Glibc.close(descriptor) } }).wait()
    }

    /// Begins to write `count` bytes; 0, or the errno.
    func write(
        _ descriptor: Int32, _ byte: UInt8, at offset: Int = 0, count: Int = 4096
    ) -> Outcome<Int32> {
        Outcome {
            let bytes = [UInt8](repeating: byte, count: count)
            return pwrite(descriptor, bytes, count, off_t(offset)) == count ? 0 : errno
        }
    }

    /// Begins to read; the first byte, where all are the same, or minus the errno.
    func read(_ descriptor: Int32, at offset: Int = 0, count: Int = 4096) -> Outcome<Int32> {
        Outcome {
            var bytes = [UInt8](repeating: 0, count: count)
            guard pread(descriptor, &bytes, count, off_t(offset)) == count else { return -errno }
            return bytes.allSatisfy { $0 == bytes[0] } ? Int32(bytes[0]) : -1000
        }
    }

    func sync(_ descriptor: Int32) -> Outcome<Int32> {
        Outcome { fsync(descriptor) == 0 ? 0 : errno }
    }

    /// What lies at a place of a file, seen past all paths.
    func onImage(_ file: UInt8, at offset: Int = 0) -> UInt8 {
        var byte: UInt8 = 0
        pread(image, &byte, 1, off_t(UInt64(file) * FakeCoordinator.fileBytes) + off_t(offset))
        return byte
    }

    func becomes(_ state: AccessState, seconds: Double = 10) async -> Bool {
        let volume = volume
        return await eventually(seconds: seconds) { volume.accessState.state == state }
    }
}
