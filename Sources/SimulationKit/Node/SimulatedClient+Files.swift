import FilterCore
import VolumeModel
import VolumeProtocol

extension SimulatedClient {
    /// Opens a file by name; nil: there is none, or it went away.
    func open(_ name: [UInt8], _ done: @escaping (OpenFile?, OpenID) -> Void) {
        lastOpen += 1
        let open = OpenID(lastOpen)
        lookUp(name) { [self] entry in
            guard let entry else {
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

    /// What a name stands for, from the cache where that may be; nil: nothing, or nobody can tell.
    func lookUp(_ name: [UInt8], _ done: @escaping (FileEntry?) -> Void) {
        let place = NameInDirectory(parent: Self.root, name: name)
        let epoch = simulation.oracle.beginLookUp(name)
        let identity = host.identity
        lookAtLease()
        switch filter.cachedEntry(place, nowNanoseconds: host.clock) {
        case .entry(let entry):
            simulation.counts.metadataAnswered += 1
            simulation.oracle.endLookUp(name, epoch, .file(entry.handle), by: identity)
            done(entry)
        case .absent:
            simulation.counts.metadataAnswered += 1
            simulation.oracle.endLookUp(name, epoch, .absent, by: identity)
            done(nil)
        case nil:
            call(.lookup(place)) { [self] result, _ in
                switch result {
                case .entry(let entry):
                    simulation.oracle.endLookUp(name, epoch, .file(entry.handle), by: identity)
                    done(entry)
                case .failed(.noEntry):
                    simulation.oracle.endLookUp(name, epoch, .absent, by: identity)
                    done(nil)
                default:
                    done(nil)
                }
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
        simulation.oracle.beginNames(operation)
        call(operation, ghost: ghost) { [self] result, _ in
            simulation.oracle.acknowledged(ghost, result)
            simulation.oracle.endNames(operation, result)
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
        simulation.oracle.beginNames(operation)
        call(operation, ghost: ghost) { [self] result, _ in
            simulation.oracle.acknowledged(ghost, result)
            simulation.oracle.endNames(operation, result)
            if case .failed = result { done(false) } else { done(true) }
        }
    }

    /// fstat(2): what the coordinator says, or what it granted; and what this node alone knows better.
    func size(_ file: OpenFile, _ done: @escaping (UInt64?) -> Void) {
        lookAtLease()
        if let known = filter.cachedAttributes(file.handle, nowNanoseconds: host.clock) {
            simulation.counts.metadataAnswered += 1
            done(known.sizeBytes)
            return
        }
        let before = filter.ownSize(file.handle)
        let asked = linkGeneration
        call(.attributes(file.handle)) { [self] result, _ in
            guard case .attributes(let attributes) = result else {
                done(nil)
                return
            }
            // What was given back to a coordinator that is no more may not be in the next one's answer.
            if filter.hasOwnSizeEnded(file.handle, since: before) || asked != linkGeneration {
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
