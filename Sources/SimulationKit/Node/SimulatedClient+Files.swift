import FilterCore
import VolumeModel
import VolumeProtocol

extension SimulatedClient {
    /// Opens a file by name; nil: there is none, or it went away.
    func open(_ name: [UInt8], _ done: @escaping (OpenFile?, OpenID) -> Void) {
        lastOpen += 1
        let open = OpenID(lastOpen)
        call(.lookup(NameInDirectory(parent: Self.root, name: name))) { [self] result, _ in
            guard case .entry(let entry) = result else {
                done(nil, open)
                return
            }
            call(.open(entry.handle, open)) { [self] result, _ in
                guard case .done = result else {
                    done(nil, open)
                    return
                }
                let file = begin(entry.handle, open)
                file.sizeBytes = entry.attributes.sizeBytes
                done(file, open)
            }
        }
    }

    static let root = FileSystemState.handle(ModelMount.rootInode, 0)

    func create(
        _ name: [UInt8], ghost: UInt64, _ done: @escaping (OpenFile?, OpenID) -> Void
    ) {
        lastOpen += 1
        let open = OpenID(lastOpen)
        let operation = Operation.create(
            NameInDirectory(parent: Self.root, name: name), mode: 0o644,
            Creator(userID: 0, groupID: 0, umask: 0), open: open, exclusive: true)
        call(operation, ghost: ghost) { [self] result, _ in
            simulation.oracle.acknowledged(ghost, result)
            if case .entry(let entry) = result {
                done(begin(entry.handle, open), open)
            } else {
                done(nil, open)
            }
        }
    }

    private func begin(_ handle: FileHandle, _ open: OpenID) -> OpenFile {
        opens[open] = handle
        let index = filter.open(handle)
        let file = files[handle] ?? OpenFile(handle: handle, index: index)
        files[handle] = file
        file.openCount += 1
        return file
    }

    func close(_ file: OpenFile, _ open: OpenID, _ done: @escaping () -> Void) {
        let identity = host.identity
        report(file) { [self] error in
            if error == nil { simulation.oracle.settled(file.handle, identity) }
            opens[open] = nil
            file.openCount -= 1
            let report = filter.close(file.index)
            if file.openCount == 0 { files[file.handle] = nil }
            heldLocks.releaseOpen(file.handle, open)
            call(.release(file.handle, open, report)) { _, _ in done() }
        }
    }

    /// fsync(2): growth goes back; what was acknowledged is durable already.
    func synchronize(_ file: OpenFile, _ done: @escaping () -> Void) {
        let identity = host.identity
        report(file) { [self] error in
            if error == nil { simulation.oracle.settled(file.handle, identity) }
            done()
        }
    }

    func truncate(
        _ file: OpenFile, toSizeBytes size: UInt64, ghost: UInt64,
        _ done: @escaping (Bool) -> Void
    ) {
        report(file) { [self] _ in
            var change = AttributeChange()
            change.sizeBytes = size
            perform(file, .setAttributes(file.handle, change), ghost, done)
        }
    }

    func allocate(
        _ file: OpenFile, mode: UInt32, _ range: ByteRange, ghost: UInt64,
        _ done: @escaping (Bool) -> Void
    ) {
        report(file) { [self] _ in
            perform(file, .allocate(file.handle, mode: mode, range), ghost, done)
        }
    }

    /// A change that is acknowledged with success or an error.
    func perform(
        _ file: OpenFile?, _ operation: Operation, _ ghost: UInt64,
        _ done: @escaping (Bool) -> Void
    ) {
        call(operation, ghost: ghost) { [self] result, _ in
            simulation.oracle.acknowledged(ghost, result)
            if case .failed = result { done(false) } else { done(true) }
        }
    }

    /// fstat(2): what the coordinator says, and what this node alone knows better.
    func size(_ file: OpenFile, _ done: @escaping (UInt64?) -> Void) {
        let before = filter.ownSize(file.handle)
        call(.attributes(file.handle)) { [self] result, _ in
            guard case .attributes(let attributes) = result else {
                done(nil)
                return
            }
            if filter.hasOwnSizeEnded(file.handle, since: before) {
                size(file, done)
                return
            }
            done(max(attributes.sizeBytes, filter.ownSizeBytes(file.handle) ?? 0))
        }
    }

    // MARK: Locks

    func lock(_ request: LockRequest, _ done: @escaping (Bool) -> Void) {
        call(.lock(request)) { [self] result, _ in
            guard case .done = result else {
                heldLocks.refused(request)
                done(false)
                return
            }
            heldLocks.granted(request)
            done(true)
        }
    }

    func unlock(_ request: LockRequest, _ done: @escaping () -> Void) {
        var unlock = request
        unlock.type = .unlock
        call(.lock(unlock)) { [self] result, _ in
            if case .done = result { heldLocks.granted(unlock) }
            done()
        }
    }
}
