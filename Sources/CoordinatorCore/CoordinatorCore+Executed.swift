import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// A command has ended; `result` may be shown.
    mutating func executed(
        _ id: TaskID, _ result: CommandResult, _ actions: inout [CoordinatorAction]
    ) {
        guard let task = tasks[id] else { return }
        switch task.stage {
        case .sizing:
            sized(id, task, result, &actions)
        case .settling:
            if let (file, size) = settledSize(of: task, result) { files[file]?.sizeBytes = size }
            proceed(id, &actions)
        case .resolving:
            resolved(id, task, result, &actions)
        case .refreshing:
            refreshed(id, task, result, &actions)
        case .executing:
            performed(id, task, result, &actions)
        case .claiming, .recalling, .clearing:
            preconditionFailure("a command ended that this task has not begun")
        }
    }

    private mutating func sized(
        _ id: TaskID, _ task: CoordinatorTask, _ result: CommandResult,
        _ actions: inout [CoordinatorAction]
    ) {
        guard let operation = task.operation, let file = fileToSize(operation) else { return }
        switch result {
        case .attributes(let attributes):
            if files[file] == nil { files[file] = FileState() }
            files[file]?.sizeBytes = attributes.sizeBytes
            proceed(id, &actions)
        case .failed(let error):
            finish(id, .failed(error), &actions)
        default:
            preconditionFailure("a stat answers attributes")
        }
    }

    /// What a settle left on the LUN; a file that is gone has nothing to settle.
    private func settledSize(
        of task: CoordinatorTask, _ result: CommandResult
    ) -> (FileHandle, UInt64)? {
        guard case .performed(_, let size?) = result, let file = task.settlingFile else {
            return nil
        }
        return (file, size)
    }

    private mutating func resolved(
        _ id: TaskID, _ task: CoordinatorTask, _ result: CommandResult,
        _ actions: inout [CoordinatorAction]
    ) {
        if case .resolved(let found) = result {
            tasks[id]?.named = found.compactMap { $0?.handle }
        }
        guard case .resolved(let found) = result, let victim = found.last ?? nil,
            victim.attributes.kind != .directory, task.operation?.removesLastOperand == true,
            found.count == 1 || found[0]?.handle != victim.handle
        else {
            if let operation = task.operation {
                execute(id, .perform(operation), .executing, &actions)
            }
            return
        }
        tasks[id]?.victim = victim.handle
        tasks[id]?.victimLinkCount = victim.attributes.linkCount
        claim([(.file(victim.handle), .exclusive)], by: id, &actions)
    }

    /// Removes a name whose file this task holds alone: the last name of a file in use goes to the
    /// private directory instead.
    mutating func removeOrHide(
        _ id: TaskID, _ operation: Operation, _ victim: FileHandle,
        _ actions: inout [CoordinatorAction]
    ) {
        let isLastName = tasks[id]?.victimLinkCount == 1
        let isUsed = files[victim].map { $0.isOpen || !$0.layouts.isEmpty } ?? false
        guard isLastName, isUsed || locks.isLocked(victim), rules.contains(.recallBeforeRemap)
        else {
            execute(id, .perform(operation), .executing, &actions)
            return
        }
        switch operation {
        case .unlink(let name):
            execute(id, .hide(name, victim), .executing, &actions)
        case .rename(let name, let target, _):
            execute(id, .renameHiding(name, to: target, victim: victim), .executing, &actions)
        default:
            preconditionFailure("only unlink and rename have a victim")
        }
        tasks[id]?.hidesVictim = true
    }

    private mutating func refreshed(
        _ id: TaskID, _ task: CoordinatorTask, _ result: CommandResult,
        _ actions: inout [CoordinatorAction]
    ) {
        switch result {
        case .attributes(let attributes):
            guard let entry = task.entry else { return }
            let fresh = FileEntry(handle: entry, attributes: shown(attributes, of: entry))
            finish(id, .entry(fresh), &actions)
        case .failed(.stale) where task.isRepeated:
            // It was made, and is gone since: that it was made stays true.
            guard let entry = task.entry, let operation = task.operation else { return }
            finish(id, .entry(.removed(entry, madeBy: operation)), &actions)
        case .failed(let error):
            finish(id, .failed(error), &actions)
        default:
            preconditionFailure("a stat answers attributes")
        }
    }

    private mutating func performed(
        _ id: TaskID, _ task: CoordinatorTask, _ result: CommandResult,
        _ actions: inout [CoordinatorAction]
    ) {
        guard case .request(let session, _, let operation) = task.purpose else {
            internalDone(task, result)
            finish(id, nil, &actions)
            return
        }
        if case .failed(let error) = result {
            // A part may have been done before it failed: the size is asked for again.
            if let file = operation.sizedFile { files[file]?.sizeBytes = nil }
            undo(operation, session)
            finish(id, .failed(error), &actions)
            return
        }
        if task.hidesVictim, let victim = task.victim { files[victim]?.isHidden = true }
        switch (operation, result) {
        case (.layoutGet(let file, _), .mapped(let range, let extents, let size)):
            files[file]?.sizeBytes = size
            finish(id, grant(file, to: session, range, extents, size), &actions)
        case (
            .layoutFill(let file, _), .filled(let range, let extents, let size, let zeroed)
        ):
            files[file]?.sizeBytes = size
            let answer = grant(file, to: session, range, extents, size)
            noteFill(of: file, for: session, answer, zeroed)
            finish(id, answer, &actions)
        case (.layoutGrow(let file, _), .mapped(let range, let extents, let size)):
            guard files[file]?.opens[session] != nil else {
                // The session ended meanwhile, and nobody would ever give this growth back.
                if let visible = files[file]?.visibleSizeBytes {
                    tasks[id]?.reports.append((file, WriteReport(grownSizeBytes: visible)))
                }
                proceed(id, &actions)
                return
            }
            finish(id, growth(file, to: session, range, extents, size), &actions)
        case (_, .performed(let result, let size)):
            if let size, let file = operation.sizedFile { files[file]?.sizeBytes = size }
            conclude(id, session, operation, result, &actions)
        default:
            preconditionFailure("a command answered what its kind does not answer")
        }
    }

    private mutating func conclude(
        _ id: TaskID, _ session: NodeIdentity, _ operation: Operation, _ result: OperationResult,
        _ actions: inout [CoordinatorAction]
    ) {
        switch (operation, result) {
        case (.create(_, _, _, let open, _), .entry(let entry)):
            created(id, session, open, entry, isUnnamed: false, &actions)
        case (.createUnnamed(_, _, _, let open), .entry(let entry)):
            created(id, session, open, entry, isUnnamed: true, &actions)
        case (.lookup, .entry(let entry)), (.link, .entry(let entry)):
            guard files[entry.handle] != nil else {
                finish(id, result, &actions)
                return
            }
            refresh(id, entry.handle, &actions)
        case (.attributes(let file), .attributes(let attributes)),
            (.setAttributes(let file, _), .attributes(let attributes)):
            finish(id, .attributes(shown(attributes, of: file)), &actions)
        case (.open, .failed(let error)):
            undo(operation, session)
            finish(id, .failed(error), &actions)
        case (.readDirectory, .directory(let entries, let atEnd)):
            finish(id, .directory(entries.map(withoutUncertain), atEnd: atEnd), &actions)
        default:
            finish(id, result, &actions)
        }
    }

    private mutating func created(
        _ id: TaskID, _ session: NodeIdentity, _ open: OpenID, _ entry: FileEntry,
        isUnnamed: Bool, _ actions: inout [CoordinatorAction]
    ) {
        // A session that ended meanwhile closes nothing any more.
        let refusal =
            sessions.contains(session)
            ? register(open, of: entry.handle, by: session) : .notConnected
        if let error = refusal {
            if isUnnamed {
                files[entry.handle] = FileState(isHidden: true)
                startInternal(.removeHidden(entry.handle), on: entry.handle, &actions)
            }
            finish(id, .failed(error), &actions)
            return
        }
        if isUnnamed { files[entry.handle]?.isHidden = true }
        refresh(id, entry.handle, &actions)
    }

    mutating func refresh(
        _ id: TaskID, _ entry: FileHandle, _ actions: inout [CoordinatorAction]
    ) {
        tasks[id]?.entry = entry
        claim([(.file(entry), .shared)], by: id, &actions)
    }

    /// An entry's attributes are left out where another node might know better.
    private func withoutUncertain(_ entry: DirectoryEntryWithFile) -> DirectoryEntryWithFile {
        guard let file = entry.file, files[file.handle] != nil else { return entry }
        return DirectoryEntryWithFile(entry: entry.entry, file: nil)
    }

    private mutating func undo(_ operation: Operation, _ session: NodeIdentity) {
        if case .open(let file, let open) = operation { unregister(open, of: file, by: session) }
    }

    private mutating func internalDone(_ task: CoordinatorTask, _ result: CommandResult) {
        switch task.purpose {
        case .removeHidden(let file):
            files[file]?.isHidden = false
        case .makeRoom:
            break
        case .settleLost(let file, _, let session):
            if files[file]?.growth?.session == session { files[file]?.growth = nil }
            if case .performed(_, let size?) = result { files[file]?.sizeBytes = size }
        case .request:
            break
        }
    }

    /// What a node is shown of a file's attributes: a hidden file's private name does not count, and
    /// what a growth has not reached is not there.
    func shown(_ attributes: FileAttributes, of file: FileHandle) -> FileAttributes {
        var attributes = attributes
        guard let state = files[file] else { return attributes }
        if state.isHidden, attributes.linkCount > 0 { attributes.linkCount -= 1 }
        if let growth = state.growth { attributes.sizeBytes = growth.visibleSizeBytes }
        return attributes
    }
}
