import CLinux
import Glibc

/// Takes down what there is of a lab, whatever state it is in. It needs the lab's directory
/// only: names follow from it, and processes are found by their namespaces as well as by the
/// record. Never asks a file system below the directory anything. Doing it again does no harm.
struct LabTeardown {
    let directory: String
    /// The daemons and the store of the record, if there is one.
    var daemons: [ProcessIdentity] = []
    var store: ProcessIdentity?
    var simulator: ProcessIdentity?
    var removesImage = true
    var graceSeconds = LabLimits.graceSeconds
    var registry = LabRegistry.machine

    private var tag: String { LabPlan.tag(directory: directory) }
    private var prefix: String { LabPlan.namespacePrefix(tag: tag) }
    private var images: [String] {
        [directory + "/lun.img", LabPlan.memoryImagePath(tag: tag)]
    }

    init(directory: String, record: LabRecord?) {
        self.directory = directory
        guard let record else { return }
        daemons = record.daemons.sorted { $0.key < $1.key }.map(\.value)
        store = record.store
        simulator = record.simulator
    }

    /// - Throws: `leftovers` with what could not be removed.
    func run() throws(LabError) {
        let namespaces = NetworkNamespace.names(prefix: prefix)
        let nodeNamespaces = namespaces.filter { $0 != prefix + "switch" }
        // Not the paths to a simulated LUN: the daemons' last writes go there.
        try FUSEConnections.abort(below: directory, except: lunDirectory)
        restorePaths()
        var leftovers = try end {
            self.daemons + NetworkNamespace.processes(in: nodeNamespaces)
        }
        // As long as the paths can be named and work.
        let loops = LoopDevices.devices(backedBy: isLUNPath)
        if !loops.isEmpty { _ = LoopDevices.detach(backedBy: isLUNPath) }
        // Store and simulator last, so that the daemons could still hand over and detach.
        leftovers += try end {
            [self.store, self.simulator].compactMap { $0 }
                + NetworkNamespace.processes(in: namespaces)
        }
        leftovers += try unmount()
        leftovers += LoopDevices.detach(backedBy: images.contains)
        leftovers += LoopDevices.remaining(loops, backedBy: isLUNPath)
        for name in namespaces { NetworkNamespace.delete(name) }
        let keepsMemoryImage = !removesImage && SystemFile.exists(images[1])
        if !keepsMemoryImage {
            if unlink(images[1]) == 0 { unlink(images[0]) }
        }
        guard leftovers.isEmpty else {
            throw LabError(
                .leftovers,
                "\(directory): could not be removed: \(leftovers.joined(separator: ", "))")
        }
        unlink(directory + "/lab.json")
        // An image kept in memory stays known, so that a sweep finds it.
        if !keepsMemoryImage { registry.remove(tag: tag) }
    }

    private var lunDirectory: String { directory + "/lun" }

    /// A path's mount may be gone already, which the kernel shows as a bare root.
    private func isLUNPath(_ path: String) -> Bool { path.hasPrefix(lunDirectory + "/") }

    /// Lets daemons end that would wait for a path that hangs. A late write stays held back, and
    /// goes with the simulator: here it could only do damage.
    private func restorePaths() {
        guard SystemFile.exists(directory + "/lun.sock") else { return }
        LUNControl(socket: directory + "/lun.sock").restoreBlocking()
    }

    /// Asks the processes to end, then makes them. Returns those that stayed. `list` is asked
    /// again: what ends may start something new.
    private func end(_ list: () -> [ProcessIdentity]) throws(LabError) -> [String] {
        let polite = Self.alive(list())
        for process in polite where !process.isStopped { process.signal(SIGTERM) }
        let patient = polite.filter { !$0.isStopped }
        _ = Clock.wait(atMostSeconds: graceSeconds) { Self.alive(patient).isEmpty }
        var rest: [ProcessIdentity] = []
        _ = Clock.wait(atMostSeconds: LabLimits.goneSeconds) {
            rest = Self.alive(list())
            // What waits for a file system whose daemon was just killed needs the abort as well.
            if !rest.isEmpty { try? FUSEConnections.abort(below: directory) }
            for process in rest { process.signal(SIGKILL) }
            return rest.isEmpty
        }
        return rest.map { "process \($0.pid)" }
    }

    private static func alive(_ processes: [ProcessIdentity]) -> [ProcessIdentity] {
        Set(processes).filter(\.isAlive)
    }

    private func unmount() throws(LabError) -> [String] {
        var mounts = try MountInfo.below(directory)
        var rounds = 0
        while !mounts.isEmpty && rounds < 100 {
            for mount in mounts { _ = covol_unmount_lazily(mount.mountPoint) }
            mounts = try MountInfo.below(directory)
            rounds += 1
        }
        return mounts.map { "mount \($0.mountPoint)" }
    }
}
