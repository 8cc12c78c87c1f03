import FilterCore
import VolumeModel
import VolumeProtocol

/// A program on a node: opens files, does one thing after another with them, and has everything it is
/// told checked.
final class SimulatedProcess {
    unowned let client: SimulatedClient
    let number: Int
    private var isEnded = false
    private var files: [(file: OpenFile, open: OpenID)] = []

    init(client: SimulatedClient, number: Int) {
        self.client = client
        self.number = number
    }

    var simulation: Simulation { client.simulation }
    var oracle: Oracle { client.simulation.oracle }
    var identity: NodeIdentity { client.host.identity }

    func start() { think() }

    func end() {
        isEnded = true
        files = []
    }

    private func think() {
        let mean = simulation.scenario.thinkNanoseconds
        client.after(simulation.random.within(mean / 4...mean * 2)) { [self] in
            if !isEnded { act() }
        }
    }

    private func act() {
        // What was lost answers EIO for ever: programs give it up.
        files.removeAll { file, _ in
            guard client.filter.isLost(file.index) else { return false }
            _ = client.filter.close(file.index)
            return true
        }
        let operation = simulation.random.pick(weighted: simulation.scenario.operations)
        guard let (file, open) = files.last else {
            reopen()
            return
        }
        let next = { [self] in think() }
        switch operation {
        case .read: read(file, next)
        case .write: write(file, isPart: false, next)
        case .writePart: write(file, isPart: true, next)
        case .extend: extend(file, next)
        case .append: append(file, next)
        case .truncate: truncate(file, next)
        case .punch: allocate(file, AllocationMode.punch, next)
        case .zero: allocate(file, AllocationMode.zero, next)
        case .allocate:
            allocate(
                file,
                simulation.random.chance(0.5) ? AllocationMode.allocate : AllocationMode.keepSize,
                next)
        case .stat: stat(file, next)
        case .sync: client.synchronize(file, next)
        case .reopen: reopen()
        case .create: create(next)
        case .unlink: unlink(next)
        case .rename: rename(next)
        case .link: link(file, next)
        case .setAttribute: setAttribute(file, next)
        case .removeAttribute: removeAttribute(file, next)
        case .lock: lock(file, open, next)
        case .copy: copy(file, next)
        case .look: client.lookUp(name) { _ in next() }
        }
    }

    // MARK: Names

    private var name: [UInt8] {
        [UInt8(0x61 + simulation.random.below(simulation.scenario.fileCount))]
    }

    private var place: (NameInDirectory) {
        NameInDirectory(parent: SimulatedClient.root, name: name)
    }

    func ghost() -> UInt64 {
        simulation.lastOperation += 1
        return simulation.lastOperation
    }

    private func reopen() {
        let finish = { [self] in
            client.open(name) { [self] file, open in
                if let file { files.append((file, open)) }
                think()
            }
        }
        if files.count > simulation.random.below(2) {
            let (file, open) = files.removeFirst()
            client.close(file, open, finish)
        } else {
            finish()
        }
    }

    private func create(_ next: @escaping () -> Void) {
        client.create(name, ghost: ghost()) { [self] file, open in
            if let file {
                files.append((file, open))
                if files.count > 2 {
                    let (old, oldOpen) = files.removeFirst()
                    client.close(old, oldOpen, next)
                    return
                }
            }
            next()
        }
    }

    private func unlink(_ next: @escaping () -> Void) {
        client.perform(nil, .unlink(place), ghost()) { _ in next() }
    }

    private func rename(_ next: @escaping () -> Void) {
        client.perform(nil, .rename(place, to: place, flags: 0), ghost()) { _ in next() }
    }

    private func link(_ file: OpenFile, _ next: @escaping () -> Void) {
        client.perform(file, .link(file.handle, place), ghost()) { _ in next() }
    }

    private func setAttribute(_ file: OpenFile, _ next: @escaping () -> Void) {
        let value = [UInt8(simulation.random.below(256))]
        let operation = Operation.setExtendedAttribute(
            file.handle, name: [0x75], value: value,
            flags: simulation.random.chance(0.6) ? 1 : 0)
        client.perform(file, operation, ghost()) { _ in next() }
    }

    private func removeAttribute(_ file: OpenFile, _ next: @escaping () -> Void) {
        client.perform(file, .removeExtendedAttribute(file.handle, name: [0x75]), ghost()) { _ in
            next()
        }
    }

    /// The file that was opened before this one, if it is another.
    func otherFile(_ file: OpenFile) -> OpenFile? {
        files.first { $0.file.handle != file.handle }?.file
    }

    // MARK: Locks

    private func lock(_ file: OpenFile, _ open: OpenID, _ next: @escaping () -> Void) {
        let start = simulation.random.within(0...40) * Cells.bytes
        let owner = UInt64(number + 1)
        let request = LockRequest(
            file: file.handle, open: open, owner: owner,
            kind: simulation.random.chance(0.3) ? .flock : .record,
            type: simulation.random.chance(0.7) ? .write : .read, startBytes: start,
            lastBytes: start + 20 * Cells.bytes, processID: UInt32(owner), waits: false)
        client.lock(request) { [self] isGranted in
            guard isGranted else {
                next()
                return
            }
            oracle.locked(request, identity)
            client.after(simulation.random.within(.milliseconds(1) ... .milliseconds(300))) {
                [self] in
                oracle.unlocking(identity, owner: owner, file.handle)
                client.unlock(request, next)
            }
        }
    }
}
