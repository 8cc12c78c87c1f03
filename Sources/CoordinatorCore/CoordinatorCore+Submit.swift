import VolumeModel
import VolumeProtocol

extension CoordinatorCore {
    /// Starts a request: what needs no claim is executed at once.
    mutating func submit(
        _ task: CoordinatorTask, _ session: NodeIdentity, _ sequence: UInt64,
        _ operation: Operation, _ actions: inout [CoordinatorAction]
    ) {
        var refusal: ErrorCode?
        switch operation {
        case .lock, .testLock, .cancelLock, .unlockOwner:
            lockOperation(session, sequence, operation, &actions)
            return
        case .reclaimLayout, .reclaimLock, .reclaimed:
            reclaim(session, sequence, operation, &actions)
            return
        case .open(let file, let open):
            adoptOpen(open, of: file, by: session)
            // Registered before it is checked, so that no unlink finds the file unused meanwhile.
            refusal = register(open, of: file, by: session)
        case .layoutGet(let file, _), .layoutGrow(let file, _), .layoutFill(let file, _):
            if files[file]?.opens[session] == nil { refusal = .badDescriptor }
        default:
            break
        }
        if let refusal {
            reply(session, sequence, .failed(refusal), &actions)
            return
        }
        let claims = initialClaims(of: operation, payloadBytes: task.payloadBytes)
        start(task, claiming: claims, &actions)
    }

    /// Starts a task of the coordinator's own.
    mutating func startInternal(
        _ purpose: CoordinatorTask.Purpose, on file: FileHandle,
        _ actions: inout [CoordinatorAction]
    ) {
        start(CoordinatorTask(purpose), claiming: [(.file(file), .exclusive)], &actions)
    }

    /// Starts a task of the coordinator's own that needs nothing for itself.
    mutating func startTask(
        _ purpose: CoordinatorTask.Purpose, _ actions: inout [CoordinatorAction]
    ) {
        start(CoordinatorTask(purpose), claiming: [], &actions)
    }

    private mutating func start(
        _ task: CoordinatorTask, claiming wanted: [(Resource, ClaimTable.Mode)],
        _ actions: inout [CoordinatorAction]
    ) {
        let id = newTask(task)
        claim(wanted, by: id, &actions)
    }

    /// Adds claims to a task, and goes on with it once it holds them all.
    mutating func claim(
        _ wanted: [(Resource, ClaimTable.Mode)], by id: TaskID,
        _ actions: inout [CoordinatorAction]
    ) {
        tasks[id]?.stage = .claiming
        tasks[id]?.claims += wanted
        let missing = claims.claim(wanted, by: id)
        tasks[id]?.missingClaims = missing
        if missing == 0 { proceed(id, &actions) }
    }

    private func initialClaims(
        of operation: Operation, payloadBytes: Int
    ) -> [(Resource, ClaimTable.Mode)] {
        if let (file, range) = overwritten(by: operation, payloadBytes: payloadBytes) {
            return [(.file(file), .shared)]
                + Resource.pieces(of: file, range).map { ($0, .exclusive) }
        }
        return switch operation {
        case .create(let name, _, _, _, _), .makeNode(let name, _, _, _, _),
            .makeDirectory(let name, _, _), .makeSymbolicLink(let name, _, _):
            [(.names, .shared), (.name(name), .exclusive)]
        case .createUnnamed:
            [(.names, .shared)]
        case .link, .unlink, .removeDirectory, .rename:
            [(.names, .exclusive)]
        case .attributes(let file), .open(let file, _), .read(let file, _), .seek(let file, _, _):
            [(.file(file), .shared)]
        case .setAttributes(let file, _), .release(let file, _, _), .allocate(let file, _, _),
            .layoutGet(let file, _), .layoutGrow(let file, _), .layoutFill(let file, _),
            .layoutReturn(let file, _, _),
            .write(let file, _, _), .setExtendedAttribute(let file, _, _, _),
            .removeExtendedAttribute(let file, _), .synchronize(let file):
            [(.file(file), .exclusive)]
        case .copyRange(let source, _, let target, _, _):
            source == target
                ? [(.file(source), .exclusive)]
                : [(.file(source), .exclusive), (.file(target), .exclusive)]
        default:
            []
        }
    }

    /// What a write changes that leaves the file's size, and every block beyond it, as they are: others
    /// may read and overwrite the rest of the file meanwhile. Nil where it may do more.
    func overwritten(
        by operation: Operation, payloadBytes: Int
    ) -> (file: FileHandle, range: ByteRange)? {
        guard case .write(let file, let offset, let flags) = operation,
            flags.isDisjoint(with: [.append, .clearsSetID]), payloadBytes > 0,
            let size = files[file]?.visibleSizeBytes
        else { return nil }
        let range = ByteRange(offset: offset, length: UInt64(payloadBytes))
        // Odd edges go through the page cache.
        guard range == range.wholeBlocks(Limits.blockSizeBytes), range.endBytes <= size else {
            return nil
        }
        return (file, range)
    }

    /// Nil, or why the open is not taken. The same open may be told again.
    mutating func register(
        _ open: OpenID, of file: FileHandle, by session: NodeIdentity
    ) -> ErrorCode? {
        var state = files[file] ?? FileState()
        var opens = state.opens[session] ?? []
        if opens.contains(open) { return nil }
        guard opens.count < Limits.opensPerSessionMaximum else { return .tooManyOpenFiles }
        opens.insert(open)
        state.opens[session] = opens
        files[file] = state
        return nil
    }

    mutating func unregister(_ open: OpenID, of file: FileHandle, by session: NodeIdentity) {
        guard var opens = files[file]?.opens[session] else { return }
        opens.remove(open)
        files[file]?.opens[session] = opens.isEmpty ? nil : opens
    }

    /// Drops what is known of a file that nobody uses.
    mutating func forgetIfUnused(_ file: FileHandle, _ actions: inout [CoordinatorAction]) {
        guard let state = files[file], !state.isOpen, !claims.isClaimed(.file(file)),
            state.growth == nil
        else { return }
        if state.isHidden {
            // In grace its node may yet come back and tell that it has it open.
            if grace == nil { startInternal(.removeHidden(file), on: file, &actions) }
        } else {
            files[file] = nil
        }
    }
}
