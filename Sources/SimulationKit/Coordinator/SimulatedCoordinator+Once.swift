import CoordinatorCore
import VolumeModel
import VolumeProtocol

/// Exactly-once execution: the records around a command, each in a transaction of its own, as
/// `OperationJournal` writes them.
extension SimulatedCoordinator {
    func write(_ state: OnceRecord.State, for key: OnceKey) {
        let record = OnceRecord(
            incarnation: key.session.incarnation, sequence: key.sequence, state: state)
        mount.state.onceRecords[
            OnceSlot(node: key.session.name, slot: key.slot)] = record
        mount.commitInMemory()
    }

    /// Tells the core what the volume says of the epoch before.
    func takeOver(attached: [String]) {
        var outcomes: [SlotOutcome] = []
        let slots = mount.state.onceRecords.keys.sorted { ($0.node, $0.slot) < ($1.node, $1.slot) }
        for slot in slots {
            guard let record = mount.state.onceRecords[slot], attached.contains(slot.node),
                rules.contains(.once)
            else {
                mount.state.onceRecords[slot] = nil
                continue
            }
            let key = OnceKey(
                session: NodeIdentity(name: slot.node, incarnation: record.incarnation),
                slot: slot.slot, sequence: record.sequence)
            if let outcome = resolve(record, key) {
                outcomes.append(SlotOutcome(key: key, outcome: outcome))
            }
        }
        mount.commitInMemory()
        let hidden = mount.state.hidden.sorted().map { mount.state.handle(of: $0) }
        let grown = mount.state.growthNotes.sorted { $0.key < $1.key }.map {
            GrownFile(
                file: mount.state.handle(of: $0.key), visibleSizeBytes: $0.value.sizeBytes,
                holder: $0.value.holder)
        }
        handle(
            .started(attached: attached, hidden: hidden, grown: grown, outcomes: outcomes))
    }

    private func resolve(_ record: OnceRecord, _ key: OnceKey) -> OnceOutcome? {
        switch record.state {
        case .ended(let outcome):
            return outcome
        case .intended(let intent):
            if case .appends(let file, let from) = intent, simulation.random.chance(0.5) {
                mount.loseTail(of: file, fromBytes: from)
            }
            let found: OnceOutcome?
            switch try? IntentResolver.resolve(intent, MountView(mount: mount)) {
            case .done(let outcome):
                found = outcome
            case .cutBack(let file, let size):
                try? mount.truncate(file, toSizeBytes: size)
                mount.amend { state in
                    state.effects = state.effects.filter { $0.value.key != key }
                }
                found = nil
            case .notDone, nil:
                found = nil
            }
            if let found {
                write(.ended(found), for: key)
            } else {
                mount.state.onceRecords[OnceSlot(node: key.session.name, slot: key.slot)] = nil
            }
            simulation.trace(
                place,
                "\(key.session) #\(key.sequence): \(intent) was "
                    + (found.map { "done: \($0)" } ?? "not done"))
            return found
        }
    }

    /// Takes note, for the checks, of what an operation did, in the transaction that did it.
    func noteEffect(
        _ command: Command, _ message: RequestMessage, _ result: CommandResult, hasChanged: Bool
    ) {
        guard message.slot != Operation.noSlot, case .performed(let answer, _) = result else {
            return
        }
        switch command {
        case .perform, .hide, .renameHiding: break
        default: return
        }
        let ghost = message.ghost
        let digest = answer.digest
        mount.amend { state in
            var effect = state.effects[ghost] ?? FileSystemState.Effect(result: digest)
            effect.count += 1
            effect.result = digest
            effect.mustBeOnce = hasChanged && message.operation.mustBeOnce
            effect.key = OnceKey(
                session: message.session, slot: message.slot, sequence: message.sequence)
            state.effects[ghost] = effect
        }
    }
}

/// The model file system as the resolver of intents looks at it.
struct MountView: VolumeView {
    let mount: ModelMount

    func file(named name: NameInDirectory) throws(ErrorCode) -> FileHandle? {
        mount.state.names[name.name].map { mount.state.handle(of: $0) }
    }

    func sizeBytes(of file: FileHandle) throws(ErrorCode) -> UInt64? {
        mount.state.inode(of: file).flatMap { mount.state.inodes[$0]?.sizeBytes }
    }

    func hasAttribute(_ name: [UInt8], of file: FileHandle) throws(ErrorCode) -> Bool {
        mount.state.inode(of: file).flatMap { mount.state.inodes[$0]?.attribute } != nil
    }

    func isHidden(_ file: FileHandle) throws(ErrorCode) -> Bool {
        mount.state.inode(of: file).map { mount.state.hidden.contains($0) } ?? false
    }
}

extension Operation {
    /// A second time it fails, or does more.
    var mustBeOnce: Bool {
        switch self {
        case .create, .link, .unlink, .rename, .removeExtendedAttribute: true
        case .write(_, _, let flags): flags.contains(.append)
        case .setExtendedAttribute(_, _, _, let flags): flags & 1 != 0
        default: false
        }
    }
}

extension OperationResult {
    /// What must be the same in the answer as in the effect.
    var digest: UInt64 {
        switch self {
        case .entry(let entry): UInt64(FileSystemState.number(of: entry.handle))
        case .written(let offset, let length, _): offset << 20 | UInt64(length)
        case .copied(let length): length
        default: 1
        }
    }
}
