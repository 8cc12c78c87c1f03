import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

/// The commonest requests in their simple form, without a task: the worker asks, and the thread that
/// brings the answer answers. A task costs several switches of threads. What turns out to be less
/// simple goes on in one.
extension MountHandler {
    /// False: the request needs a task.
    func servePromptly(
        _ request: FUSERequest, _ context: FUSEContext, _ handle: FileHandle, _ reply: FUSEReplyPort
    ) -> Bool {
        switch request {
        case .lookup(let name):
            ask(.lookup(NameInDirectory(parent: handle, name: name))) { [self] answer in
                promptEntry(answer, reply)
            }
        case .getattr:
            return promptAttributes(of: handle, request, reply)
        case .unlink(let name):
            ask(.unlink(NameInDirectory(parent: handle, name: name))) { Self.done($0, reply) }
        case .rmdir(let name):
            ask(.removeDirectory(NameInDirectory(parent: handle, name: name))) {
                Self.done($0, reply)
            }
        case .mkdir(let name, let mode, let umask):
            let creator = Creator(userID: context.userID, groupID: context.groupID, umask: umask)
            let place = NameInDirectory(parent: handle, name: name)
            ask(.makeDirectory(place, mode: mode, creator)) { [self] answer in
                promptEntry(answer, reply)
            }
        case .create(let name, let flags, let mode, let umask, _):
            let open = newOpen()
            let generation = coordinatorGeneration
            let operation = Operation.create(
                NameInDirectory(parent: handle, name: name), mode: mode,
                Creator(userID: context.userID, groupID: context.groupID, umask: umask),
                open: open, exclusive: flags & UInt32(OpenFlags.exclusive) != 0)
            ask(operation) { [self] in created($0, open, since: generation, reply) }
        case .open:
            let open = newOpen()
            let generation = coordinatorGeneration
            ask(.open(handle, open)) { [self] answer in
                if case .failed(let error) = answer.result {
                    reply.error(error)
                } else {
                    opened(handle, open, since: generation, reply)
                }
            }
        case .flush(let open, let owner):
            return promptFlush(handle, FileIndex(handle: open), owner, reply)
        case .release(let open, _, _, _):
            return promptRelease(handle, open, reply)
        case .opendir:
            openDirectory(reply)
        case .readdir(let open, let offset, let size):
            readDirectory(
                handle, open, offset, FUSEDirectoryBuilder(sizeBytes: size, isPlus: false), reply)
        case .readdirplus(let open, let offset, let size):
            readDirectory(
                handle, open, offset, FUSEDirectoryBuilder(sizeBytes: size, isPlus: true), reply)
        case .releasedir(let open, _):
            closeDirectory(open, reply)
        case .fsyncdir, .syncfs:
            // What was acknowledged is durable already.
            reply.ok()
        default:
            return false
        }
        return true
    }

    private static func done(_ answer: LinkAnswer, _ reply: FUSEReplyPort) {
        if case .failed(let error) = answer.result {
            reply.error(error.underParent)
        } else {
            reply.ok()
        }
    }

    private func promptEntry(_ answer: LinkAnswer, _ reply: FUSEReplyPort) {
        switch answer.result {
        case .entry(let found):
            if knowsBetter(found.handle) {
                Task { await self.answer(found, reply) }
            } else {
                let entry = entry(found)
                if !reply.entry(entry) { nodes.forget(entry.nodeID, count: 1) }
            }
        case .failed(let error):
            reply.error(error.underParent)
        default:
            reply.error(.protocolError)
        }
    }

    private func promptAttributes(
        of handle: FileHandle, _ request: FUSERequest, _ reply: FUSEReplyPort
    ) -> Bool {
        let (before, generation): (OwnSize?, UInt64) = state.withLock { state in
            (
                state.knowsBetter(handle) ? nil : state.filter.ownSize(handle),
                state.coordinatorGeneration
            )
        }
        guard let before else { return false }
        ask(.attributes(handle)) { [self] answer in
            let isCurrent = state.withLock { state in
                !state.knowsBetter(handle)
                    && !state.filter.hasOwnSizeEnded(handle, since: before)
                    && state.coordinatorGeneration == generation
            }
            guard isCurrent, case .attributes(let attributes) = answer.result else {
                Task { await self.attributes(of: handle, request, reply) }
                return
            }
            nodes.remember(handle, attributes)
            reply.attributes(attributes)
        }
        return true
    }

    private func created(
        _ answer: LinkAnswer, _ open: OpenID, since generation: UInt64, _ reply: FUSEReplyPort
    ) {
        switch answer.result {
        case .entry(let found):
            let file = begin(found.handle, open)
            let isSimple = state.withLock { state in
                state.coordinatorGeneration == generation && !state.knowsBetter(found.handle)
            }
            if isSimple {
                answerCreated(found, file, open, reply)
            } else {
                Task { await self.answerCreated(found, file, open, since: generation, reply) }
            }
        case .failed(let error):
            reply.error(error.underParent)
        default:
            reply.error(.protocolError)
        }
    }

    private func opened(
        _ handle: FileHandle, _ open: OpenID, since generation: UInt64, _ reply: FUSEReplyPort
    ) {
        let file = begin(handle, open)
        if coordinatorGeneration == generation {
            answerOpened(handle, file, open, reply)
        } else {
            Task { await self.answerOpened(handle, file, open, since: generation, reply) }
        }
    }

    /// close(2) where there is nothing to tell.
    private func promptFlush(
        _ handle: FileHandle, _ file: FileIndex, _ owner: UInt64, _ reply: FUSEReplyPort
    ) -> Bool {
        let isDone = state.withLock { state in
            guard !state.filter.isLost(file), state.hasNothingToTell(file, handle),
                !state.lockedFiles.contains(handle)
            else { return false }
            state.heldLocks.releaseOwner(handle, owner: owner)
            state.noteLocks(of: handle)
            return true
        }
        if isDone { reply.ok() }
        return isDone
    }

    private func promptRelease(
        _ handle: FileHandle, _ openHandle: UInt64, _ reply: FUSEReplyPort
    ) -> Bool {
        let (file, open) = (FileIndex(handle: openHandle), OpenID(openHandle >> 32))
        let report: WriteReport? = state.withLock { state in
            guard state.openRecords[open] != nil, state.hasNothingToTell(file, handle) else {
                return nil
            }
            return state.close(handle, file, open)
        }
        guard let report else { return false }
        ask(.release(handle, open, report)) { _ in reply.ok() }
        return true
    }

    /// This node itself has to say something about a file's attributes.
    func knowsBetter(_ handle: FileHandle) -> Bool { state.withLock { $0.knowsBetter(handle) } }
}

extension MountHandler.State {
    func knowsBetter(_ handle: FileHandle) -> Bool {
        filter.ownSizeBytes(handle) != nil || filter.hasUnreportedWrites(handle)
            || timesUnderWay[handle] != nil
    }

    /// The coordinator knows of everything that was written here, and is not being told.
    fileprivate func hasNothingToTell(_ file: FileIndex, _ handle: FileHandle) -> Bool {
        growthTurns[file] == nil && !filter.mustReport(file)
            && !filter.hasUnreportedWrites(handle)
    }

    /// Ends an open; the report goes with its release.
    mutating func close(
        _ handle: FileHandle, _ file: FileIndex, _ open: OpenID
    ) -> WriteReport {
        opens[open] = nil
        ledger.remove(openRecords.removeValue(forKey: open))
        heldLocks.releaseOpen(handle, open)
        noteLocks(of: handle)
        let report = filter.close(file)
        if filter.index(of: handle) == nil {
            ledger.remove(growthRecords.removeValue(forKey: file))
            lockedFiles.remove(handle)
            growthAheadBytes[file] = nil
        }
        return report
    }
}
