import FUSE
import VolumeModel
import VolumeProtocol

extension MountHandler {
    /// What the kernel is told of a file; counts a lookup.
    func entry(_ file: FileEntry) -> FUSEEntry {
        let number = nodes.lookUp(file.handle)
        nodes.remember(file.handle, file.attributes)
        return FUSEEntry(nodeID: number, attributes: file.attributes)
    }

    /// Answers an entry, with what this node itself knows better of it.
    func answer(_ found: FileEntry, _ reply: FUSEReplyPort) async {
        switch await completed(found) {
        case .success(let file):
            let entry = entry(file)
            if !reply.entry(entry) { nodes.forget(entry.nodeID, count: 1) }
        case .failure(let error):
            reply.error(error)
        }
    }

    /// An entry as this node's processes must see it: with its own writes in size and times.
    func completed(_ found: FileEntry) async -> Result<FileEntry, ErrorCode> {
        guard knowsBetter(found.handle) else { return .success(found) }
        return await freshAttributes(found.handle).map {
            FileEntry(handle: found.handle, attributes: $0)
        }
    }

    func attributes(
        of handle: FileHandle, _ request: FUSERequest, _ reply: FUSEReplyPort
    ) async {
        switch await freshAttributes(handle) {
        case .success(let attributes):
            if case .statx = request {
                reply.error(.notImplemented)
            } else {
                reply.attributes(attributes)
            }
        case .failure(let error):
            reply.error(error)
        }
    }

    /// Asks the coordinator, having told it what this node wrote; a size that this node alone knows
    /// comes on top. If the growth went away meanwhile, the answer may be from before that: again.
    func freshAttributes(_ handle: FileHandle) async -> Result<FileAttributes, ErrorCode> {
        while true {
            let (before, isUnreported, times, generation) = state.withLock { state in
                (
                    state.filter.ownSize(handle), state.filter.hasUnreportedWrites(handle),
                    state.timesUnderWay[handle], state.coordinatorGeneration
                )
            }
            await times?.value
            if isUnreported { await reportWrites(handle) }
            switch await ask(.attributes(handle)).result {
            case .attributes(var attributes):
                let (own, hasEnded, isCurrent) = state.withLock { state in
                    (
                        state.filter.ownSizeBytes(handle),
                        state.filter.hasOwnSizeEnded(handle, since: before),
                        state.coordinatorGeneration == generation
                    )
                }
                // What was given back to a coordinator that is no more may not be in it either.
                if hasEnded || !isCurrent { continue }
                if let own { attributes.sizeBytes = max(attributes.sizeBytes, own) }
                nodes.remember(handle, attributes)
                return .success(attributes)
            case .failed(.stale):
                if let attributes = nodes.attributesOfRemoved(handle) {
                    return .success(attributes)
                }
                return .failure(.stale)
            case .failed(let error):
                return .failure(error)
            default:
                return .failure(.protocolError)
            }
        }
    }

    func reportWrites(_ handle: FileHandle) async {
        let report = collectWrites(handle)
        guard !report.isEmpty else { return }
        _ = await ask(.layoutReturn(handle, ByteRange(start: 0, end: 0), report))
    }

    func setAttributes(
        _ handle: FileHandle, _ set: FUSESetAttribute, _ reply: FUSEReplyPort
    ) async {
        // What was written before comes before what is set now.
        await state.withLock { $0.timesUnderWay[handle] }?.value
        if let file = state.withLock({ $0.filter.index(of: handle) }) {
            if set.change.sizeBytes != nil {
                _ = await report(file)
            } else {
                await reportWrites(handle)
            }
        }
        switch await ask(.setAttributes(handle, set.change)).result {
        case .attributes(var attributes):
            if let own = state.withLock({ $0.filter.ownSizeBytes(handle) }) {
                attributes.sizeBytes = max(attributes.sizeBytes, own)
            }
            reply.attributes(attributes)
        case .failed(let error):
            reply.error(error)
        default:
            reply.error(.protocolError)
        }
    }
}

extension ErrorCode {
    /// What the failure of an operation on a name means to its caller: in a directory that is gone
    /// there is no such name.
    var underParent: ErrorCode { self == .stale ? .noEntry : self }
}
