import VolumeModel
import VolumeProtocol

/// What became of the last request on one of a session's slots (rule once).
struct SessionSlot: Sendable {
    enum State: Sendable {
        case executing
        case answered(OperationResult)
        /// Done for an earlier coordinator; the volume says how it ended.
        case recorded(OnceOutcome)
    }

    var sequence: UInt64
    var state: State
    /// The open of a file that the recorded request made. It counts until its node tells by itself
    /// that it has it, or uses the slot for something else.
    var open: (file: FileHandle, id: OpenID)?
}

/// Which request a command's outcome is recorded for.
public struct OnceKey: Hashable, Sendable {
    public var session: NodeIdentity
    public var slot: UInt16
    public var sequence: UInt64

    public init(session: NodeIdentity, slot: UInt16, sequence: UInt64) {
        self.session = session
        self.slot = slot
        self.sequence = sequence
    }
}

/// A request that was done for an earlier coordinator, as found on the volume.
public struct SlotOutcome: Hashable, Sendable {
    public var key: OnceKey
    public var outcome: OnceOutcome

    public init(key: OnceKey, outcome: OnceOutcome) {
        self.key = key
        self.outcome = outcome
    }
}

extension CoordinatorCore {
    /// The request whose outcome a shell records around a command of this task, see
    /// ``IntentResolver``; nil where none is to be recorded.
    public func onceKey(of task: TaskID) -> OnceKey? {
        guard rules.contains(.once), let request = request(of: task), let state = tasks[task],
            state.stage == .executing,
            let slot = unanswered[request.session]?[request.sequence], slot != Operation.noSlot
        else { return nil }
        return OnceKey(session: request.session, slot: slot, sequence: request.sequence)
    }

    /// Whether a request is new on its slot. One that was done before is answered from memory, or
    /// from what the volume says.
    mutating func takesSlot(
        _ request: Request, _ actions: inout [CoordinatorAction]
    ) -> Bool {
        let session = request.session
        guard let last = slots[session]?[request.slot], last.sequence >= request.sequence else {
            return occupySlot(request, &actions)
        }
        guard last.sequence == request.sequence else {
            // The node has had the answer, or it would not have used the slot again.
            reply(session, request.sequence, .failed(.stale), &actions)
            return false
        }
        switch last.state {
        case .answered(let result):
            reply(session, request.sequence, result, &actions)
        case .recorded(let outcome):
            slots[session]?[request.slot]?.state = .executing
            slots[session]?[request.slot]?.open = nil
            answerAgain(request, outcome, &actions)
        case .executing:
            refuse(session, request.sequence, .malformed, &actions)
        }
        return false
    }

    private mutating func occupySlot(
        _ request: Request, _ actions: inout [CoordinatorAction]
    ) -> Bool {
        let session = request.session
        if let last = slots[session]?[request.slot] {
            if case .executing = last.state {
                refuse(session, request.sequence, .malformed, &actions)
                return false
            }
            dropOpen(of: last, session, &actions)
        }
        slots[session, default: [:]][request.slot] = SessionSlot(
            sequence: request.sequence, state: .executing)
        return true
    }

    /// Gives the answer to a request that an earlier coordinator performed.
    private mutating func answerAgain(
        _ request: Request, _ outcome: OnceOutcome, _ actions: inout [CoordinatorAction]
    ) {
        let (session, sequence) = (request.session, request.sequence)
        switch outcome {
        case .done:
            reply(session, sequence, .done, &actions)
        case .failed(let error):
            reply(session, sequence, .failed(error), &actions)
        case .copied(let bytes):
            reply(session, sequence, .copied(bytes), &actions)
        case .written(let offset, let length, let size):
            reply(
                session, sequence,
                .written(offsetBytes: offset, lengthBytes: length, sizeBytes: size), &actions)
        case .attributes(let file):
            let operation = Operation.attributes(file)
            let task = CoordinatorTask(.request(session, sequence: sequence, operation))
            submit(task, session, sequence, operation, &actions)
        case .entry(let file, _):
            var task = CoordinatorTask(
                .request(session, sequence: sequence, request.operation))
            task.isRepeated = true
            refresh(newTask(task), file, &actions)
        }
    }

    // MARK: Opens that their nodes do not know of yet

    /// Gives an opened session what the volume says of its requests.
    mutating func takeRecorded(_ session: NodeIdentity) {
        guard let found = recorded.removeValue(forKey: session) else { return }
        slots[session] = found
        for slot in found.values {
            guard let open = slot.open else { continue }
            _ = register(open.id, of: open.file, by: session)
        }
    }

    /// A node tells of an open by itself: it is an open like all others from now on.
    mutating func adoptOpen(_ open: OpenID, of file: FileHandle, by session: NodeIdentity) {
        guard let known = slots[session] else { return }
        for (number, slot) in known where slot.open?.id == open && slot.open?.file == file {
            slots[session]?[number]?.open = nil
        }
    }

    private mutating func dropOpen(
        of slot: SessionSlot, _ session: NodeIdentity, _ actions: inout [CoordinatorAction]
    ) {
        guard let open = slot.open else { return }
        unregister(open.id, of: open.file, by: session)
        forgetIfUnused(open.file, &actions)
    }
}

extension FileEntry {
    /// A file that was made and has gone since.
    static func removed(_ file: FileHandle, madeBy operation: Operation) -> FileEntry {
        let kind: FileKind
        let mode: UInt32
        switch operation {
        case .makeDirectory(_, let bits, _): (kind, mode) = (.directory, bits)
        case .makeSymbolicLink: (kind, mode) = (.symbolicLink, 0o777)
        case .makeNode(_, let bits, _, _, _):
            (kind, mode) = (FileKind(rawValue: bits & FileKind.mask) ?? .regular, bits)
        case .create(_, let bits, _, _, _), .createUnnamed(_, let bits, _, _):
            (kind, mode) = (.regular, bits)
        default: (kind, mode) = (.regular, 0)
        }
        let time = Timestamp(seconds: 0, nanoseconds: 0)
        return FileEntry(
            handle: file,
            attributes: FileAttributes(
                inode: 0, sizeBytes: 0, blocks512: 0, accessTime: time, modificationTime: time,
                changeTime: time, mode: kind.rawValue | (mode & 0o7777), linkCount: 0, userID: 0,
                groupID: 0, deviceMajor: 0, deviceMinor: 0,
                blockSizeBytes: UInt32(Limits.blockSizeBytes)))
    }
}
