import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

extension FileIndex {
    /// A FUSE file handle carries the file's index in its low half, the open's number in its high one.
    init(handle: UInt64) { self.init(number: Int32(truncatingIfNeeded: handle)) }
}

extension MountHandler {
    private static let openFlags =
        FUSEOpenReplyFlags.directIO | FUSEOpenReplyFlags.parallelDirectWrites

    func newOpen() -> OpenID {
        state.withLock { state in
            state.lastOpen += 1
            state.ledger.lastOpen = state.lastOpen
            return OpenID(state.lastOpen)
        }
    }

    private func openHandle(_ file: FileIndex, _ open: OpenID) -> UInt64 {
        open.number << 32 | UInt64(UInt32(bitPattern: file.number))
    }

    func begin(_ handle: FileHandle, _ open: OpenID) -> FileIndex {
        state.withLock { state in
            state.opens[open] = handle
            let file = state.filter.open(handle)
            state.openRecords[open] = state.ledger.add(
                .open(open, handle, index: file.number, isLost: false))
            return file
        }
    }

    /// The answer crossed a change of coordinator.
    func answerOpened(
        _ handle: FileHandle, _ file: FileIndex, _ open: OpenID, since generation: UInt64,
        _ reply: FUSEReplyPort
    ) async {
        if let error = await confirm(handle, open, since: generation) {
            await close(handle, file, open)
            reply.error(error)
        } else {
            answerOpened(handle, file, open, reply)
        }
    }

    func answerOpened(
        _ handle: FileHandle, _ file: FileIndex, _ open: OpenID, _ reply: FUSEReplyPort
    ) {
        if !reply.opened(handle: openHandle(file, open), openFlags: Self.openFlags) {
            Task { await close(handle, file, open) }
        }
    }

    /// An open whose answer crossed a change of coordinator may not have been among those that the new
    /// one was told.
    private func confirm(
        _ handle: FileHandle, _ open: OpenID, since asked: UInt64
    ) async -> ErrorCode? {
        var asked = asked
        while true {
            let now = coordinatorGeneration
            guard now != asked else { return nil }
            asked = now
            if case .failed(let error) = await ask(.open(handle, open)).result,
                error != .invalid
            {
                return error
            }
        }
    }

    func release(_ handle: FileHandle, _ openHandle: UInt64, _ reply: FUSEReplyPort) async {
        let open = OpenID(openHandle >> 32)
        guard state.withLock({ $0.openRecords[open] != nil }) else {
            // The process before had closed it, and had not told the kernel; nor, perhaps, the coordinator.
            _ = await ask(.release(handle, open, WriteReport()))
            reply.ok()
            return
        }
        await close(handle, FileIndex(handle: openHandle), OpenID(openHandle >> 32))
        reply.ok()
    }

    private func close(_ handle: FileHandle, _ file: FileIndex, _ open: OpenID) async {
        // A growth goes back in a request of its own, so that no later one can meet it.
        _ = await report(file)
        let report = state.withLock { $0.close(handle, file, open) }
        _ = await ask(.release(handle, open, report))
    }

    /// close(2) of one descriptor: growth goes back, and with it the POSIX locks of that process.
    func flush(
        _ handle: FileHandle, _ openHandle: UInt64, _ owner: UInt64, _ reply: FUSEReplyPort
    ) async {
        let file = FileIndex(handle: openHandle)
        if state.withLock({ $0.filter.isLost(file) }) {
            reply.error(.inputOutput)
            return
        }
        let error = await report(file)
        let mayHoldLocks = state.withLock { state in
            state.heldLocks.releaseOwner(handle, owner: owner)
            state.noteLocks(of: handle)
            return state.lockedFiles.contains(handle)
        }
        if mayHoldLocks {
            _ = await ask(.unlockOwner(handle, owner: owner))
        }
        if let error { reply.error(error) } else { reply.ok() }
    }

    /// Everything that makes a name.
    func make(
        _ request: FUSERequest, _ context: FUSEContext, _ handle: FileHandle, _ reply: FUSEReplyPort
    ) async {
        func creator(_ umask: UInt32) -> Creator {
            Creator(userID: context.userID, groupID: context.groupID, umask: umask)
        }
        func name(_ name: [UInt8]) -> NameInDirectory {
            NameInDirectory(parent: handle, name: name)
        }
        let open = newOpen()
        var isOpen = false
        let operation: Operation
        switch request {
        case .symlink(let link, let target):
            operation = .makeSymbolicLink(name(link), target: target, creator(0))
        case .mknod(let node, let mode, let device, let umask):
            operation = .makeNode(
                name(node), mode: mode, deviceMajor: device.major, deviceMinor: device.minor,
                creator(umask))
        case .link(let old, let newName):
            guard let file = nodes.handle(old) else {
                reply.error(.stale)
                return
            }
            operation = .link(file, name(newName))
        case .tmpfile(_, let mode, let umask, _):
            isOpen = true
            operation = .createUnnamed(handle, mode: mode, creator(umask), open: open)
        default:
            preconditionFailure("makes no name")
        }
        let generation = coordinatorGeneration
        switch await ask(operation).result {
        case .entry(let found) where isOpen:
            await answerCreated(found, begin(found.handle, open), open, since: generation, reply)
        case .entry(let found):
            await answer(found, reply)
        case .failed(let error):
            reply.error(error.underParent)
        default:
            reply.error(.protocolError)
        }
    }

    func answerCreated(
        _ found: FileEntry, _ file: FileIndex, _ open: OpenID, since generation: UInt64,
        _ reply: FUSEReplyPort
    ) async {
        if let error = await confirm(found.handle, open, since: generation) {
            await close(found.handle, file, open)
            reply.error(error)
            return
        }
        switch await completed(found) {
        case .success(let complete):
            answerCreated(complete, file, open, reply)
        case .failure(let error):
            await close(found.handle, file, open)
            reply.error(error)
        }
    }

    func answerCreated(
        _ complete: FileEntry, _ file: FileIndex, _ open: OpenID, _ reply: FUSEReplyPort
    ) {
        let entry = entry(complete)
        let handle = openHandle(file, open)
        if !reply.created(entry, handle: handle, openFlags: Self.openFlags) {
            nodes.forget(entry.nodeID, count: 1)
            Task { await close(complete.handle, file, open) }
        }
    }
}
