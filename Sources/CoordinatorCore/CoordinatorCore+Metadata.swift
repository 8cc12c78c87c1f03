import VolumeModel
import VolumeProtocol

/// Metadata that nodes show without asking (rule recall-before-change): granted with the answers that
/// show them, and recalled before they change. Every command passes here on its way to the shell, so
/// none changes an inode that somebody else may be showing.
extension CoordinatorCore {
    // MARK: Before a change

    /// The inodes that a command changes or, for a layout, lets a node change by itself.
    private func changedFiles(by command: Command, of task: CoordinatorTask) -> [FileHandle] {
        var files: [FileHandle]
        switch command {
        case .perform, .hide, .renameHiding:
            files = (task.operation?.changedMetadata.map(\.file) ?? [])
            if !files.isEmpty { files += task.named }
        case .map(let file, _), .grow(let file, _, _), .fill(let file, _, _),
            .settle(let file, _), .removeHidden(let file):
            files = [file]
        case .resolve, .stat:
            files = []
        }
        var seen: Set<FileHandle> = []
        files.removeAll { !seen.insert($0).inserted }
        return files
    }

    /// Whether the node that asked takes care of its own grant itself, from before it asks to after
    /// the answer. Without a slot a request may be repeated under another number, and a late copy of
    /// it run when the node has had its answer.
    private func sparesOwn(
        _ file: FileHandle, _ command: Command, _ task: CoordinatorTask
    ) -> NodeIdentity? {
        guard case .request(let session, let sequence, let operation) = task.purpose,
            sessions.contains(session), unanswered[session]?[sequence] != nil
        else { return nil }
        if case .map = command { return session }
        guard operation.needsSlot else { return nil }
        return operation.changedMetadata.contains { $0.file == file } ? session : nil
    }

    /// Has what a command changes recalled first. False: nothing stands in its way.
    mutating func recallMetadata(
        before command: Command, _ stage: CoordinatorTask.Stage, of id: TaskID,
        _ actions: inout [CoordinatorAction]
    ) -> Bool {
        guard let task = tasks[id] else { return false }
        let files = changedFiles(by: command, of: task)
        guard !files.isEmpty else { return false }
        var wanted: [(FileHandle, NodeIdentity)] = []
        for file in files {
            if !task.changing.contains(file) { tasks[id]?.changing.append(file) }
            let own = sparesOwn(file, command, task)
            for holder in metadata.beginChange(file, by: id) where holder != own {
                wanted.append((file, holder))
            }
        }
        guard rules.contains(.recallBeforeChange), !wanted.isEmpty else { return false }
        tasks[id]?.stage = .clearing
        tasks[id]?.next = (command, stage)
        recallMetadata(wanted, for: id, &actions)
        return true
    }

    private mutating func recallMetadata(
        _ wanted: [(FileHandle, NodeIdentity)], for id: TaskID,
        _ actions: inout [CoordinatorAction]
    ) {
        for (file, holder) in wanted {
            let pending = PendingRecall(
                task: id, session: holder, file: file, range: nil,
                generation: LayoutGeneration(0), isMetadata: true)
            let recall = newRecall(pending)
            tasks[id]?.outstanding.insert(recall)
            ask(recall, pending, &actions)
        }
    }

    /// Everything is back: the command that waited for it runs.
    mutating func cleared(_ id: TaskID, _ actions: inout [CoordinatorAction]) {
        guard let (command, stage) = tasks[id]?.next else {
            finish(id, nil, &actions)
            return
        }
        tasks[id]?.next = nil
        run(id, command, stage, &actions)
    }

    /// Recalls an inode's metadata for nothing but room.
    mutating func makeRoom(_ id: TaskID, _ file: FileHandle, _ actions: inout [CoordinatorAction]) {
        tasks[id]?.changing = [file]
        let wanted = metadata.beginChange(file, by: id).map { (file, $0) }
        guard !wanted.isEmpty else {
            finish(id, nil, &actions)
            return
        }
        tasks[id]?.stage = .clearing
        recallMetadata(wanted, for: id, &actions)
    }

    // MARK: With an answer

    /// What of an answer its node may keep; takes note of that. Entries of a directory are marked.
    mutating func grantMetadata(
        _ id: TaskID, _ task: CoordinatorTask, _ result: inout OperationResult,
        _ actions: inout [CoordinatorAction]
    ) -> MetadataGrant {
        guard case .request(let session, let sequence, let operation) = task.purpose,
            operation.showsMetadata, sessions.contains(session),
            unanswered[session]?[sequence] != nil
        else { return [] }
        var granted: [FileHandle] = []
        var grant: MetadataGrant = []
        func mayShow(_ file: FileHandle) -> Bool { mayGrantAttributes(file, to: session, id) }
        func namesHold(_ directory: FileHandle?) -> Bool {
            guard let directory, !task.isRepeated else { return false }
            return metadata.isUnchanged(directory, for: id)
        }
        switch result {
        case .entry(let entry):
            if mayShow(entry.handle) {
                grant.insert(.attributes)
                granted.append(entry.handle)
            }
            if let parent = operation.parent, namesHold(parent) {
                grant.insert(.names)
                granted.append(parent)
            }
        case .attributes:
            if let file = operation.sizedFile, mayShow(file) {
                grant.insert(.attributes)
                granted.append(file)
            }
        case .failed(.noEntry):
            if case .lookup(let name) = operation, namesHold(name.parent) {
                grant.insert(.names)
                granted.append(name.parent)
            }
        case .directory(var entries, let atEnd):
            guard case .readDirectory(let directory, _, _, _) = operation, namesHold(directory)
            else { break }
            grant.insert(.names)
            granted.append(directory)
            for index in entries.indices {
                guard let file = entries[index].file?.handle, mayShow(file) else { continue }
                entries[index].isGranted = true
                granted.append(file)
            }
            result = .directory(entries, atEnd: atEnd)
        default:
            break
        }
        for file in granted {
            guard let oldest = metadata.grant(file, to: session) else { continue }
            startTask(.makeRoom(oldest), &actions)
        }
        return grant
    }

    /// A file's attributes are what they were seen as, and no other node can change them by itself.
    private func mayGrantAttributes(
        _ file: FileHandle, to session: NodeIdentity, _ task: TaskID
    ) -> Bool {
        guard metadata.isUnchanged(file, for: task) else { return false }
        guard let state = files[file] else { return true }
        return !state.isHidden && state.growth == nil
            && state.layouts.keys.allSatisfy { $0 == session }
    }

    /// A task has ended, and with it its changes.
    mutating func endMetadata(_ id: TaskID, _ task: CoordinatorTask) {
        for file in task.changing { metadata.endChange(file, by: id) }
        metadata.endReading(id)
    }
}

extension Operation {
    /// The directory whose name an answer's entry is.
    fileprivate var parent: FileHandle? {
        switch self {
        case .lookup(let name), .create(let name, _, _, _, _), .makeNode(let name, _, _, _, _),
            .makeDirectory(let name, _, _), .makeSymbolicLink(let name, _, _), .link(_, let name):
            name.parent
        default: nil
        }
    }
}
