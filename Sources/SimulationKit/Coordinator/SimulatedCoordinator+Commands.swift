import CoordinatorCore
import VolumeModel
import VolumeProtocol

/// What a command did, and what goes with it.
private struct Outcome {
    var result: CommandResult
    var cells: [Cell] = []
}

extension SimulatedCoordinator {
    func run(_ command: Command, of task: TaskID) {
        guard !isOver else { return }
        let key = core.request(of: task).map {
            RequestKey(session: $0.session, sequence: $0.sequence)
        }
        let message = key.flatMap { waiting[$0]?.message }
        guard let outcome = record(command, message, core.onceKey(of: task)) else {
            failed()
            return
        }
        if let strike = strikeAtChange, core.onceKey(of: task) != nil {
            strikeAtChange = nil
            simulation.after(simulation.random.within(0 ... .microseconds(150)), strike)
        }
        if let key { waiting[key]?.cells = outcome.cells }
        whenDurable(needsCommit: command.needsCommit(rules)) { [self] isDurable in
            guard isDurable else {
                failed()
                return
            }
            handle(.executed(task, outcome.result))
            lookForIdle()
        }
    }

    /// Performs a command, with its intent and its outcome recorded around it. Nil: the LUN cannot be
    /// used.
    private func record(_ command: Command, _ message: RequestMessage?, _ once: OnceKey?)
        -> Outcome?
    {
        var hadIntent = false
        if let once {
            let bytes = (message?.cells.count ?? 0) * Int(Cells.bytes)
            let intent = try? IntentResolver.intent(
                for: command, payloadBytes: bytes, MountView(mount: mount))
            if let intent {
                write(.intended(intent), for: once)
                hadIntent = true
            }
        }
        let outcome: Outcome
        do throws(ErrorCode) {
            let before = mount.state.version
            outcome = try perform(command, message)
            if let message, !command.isOnlyLook {
                let hasChanged = mount.state.version != before
                if !hasChanged { mount.commitInMemory() }
                noteEffect(command, message, outcome.result, hasChanged: hasChanged)
            }
        } catch {
            if error == .inputOutput { return nil }
            outcome = Outcome(result: .failed(error))
        }
        if let once,
            let ended = IntentResolver.outcome(
                of: command, outcome.result, hadIntent: hadIntent)
        {
            write(.ended(ended), for: once)
        }
        return outcome
    }

    /// A coordinator that cannot commit is none.
    func failed() {
        guard !isOver else { return }
        simulation.trace(place, "cannot use the LUN any more")
        let epoch = epoch
        crash()
        host.after(0) { [host] in host.handle(.coordinatorFailed(epoch)) }
    }

    private func perform(_ command: Command, _ message: RequestMessage?) throws(ErrorCode)
        -> Outcome
    {
        switch command {
        case .perform(let operation):
            return try perform(operation, message?.cells ?? [])
        case .resolve(let names):
            return Outcome(
                result: .resolved(names.map { name in try? mount.lookup(name.name) }))
        case .hide(let name, let file):
            try mount.hide(name.name, file)
            return Outcome(result: .performed(.done, sizeBytes: nil))
        case .renameHiding(let name, let target, let victim):
            try mount.rename(name.name, to: target.name, hiding: victim)
            return Outcome(result: .performed(.done, sizeBytes: nil))
        case .removeHidden(let file):
            try mount.removeHidden(file)
            return Outcome(result: .done)
        case .map(let file, let range):
            return Outcome(result: try map(file, range))
        case .grow(let file, let range, let zerosFrom):
            let holder = message?.session.name ?? ""
            return Outcome(result: try grow(file, range, zerosFrom, holder))
        case .fill(let file, let range, _):
            return Outcome(result: try fill(file, range))
        case .settle(let file, let report):
            return Outcome(result: try settle(file, report))
        case .stat(let file):
            return Outcome(result: .attributes(try mount.attributes(file)))
        }
    }

    private func map(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) -> CommandResult {
        let size = try mount.sizeBytes(file)
        if rules.contains(.cleanBeforeGrant) { try mount.dropCache(file, range) }
        let (extents, end) = try mount.map(file, range, sharesAll: try shares(file))
        let start = min(range.startBytes, end)
        return .mapped(
            range: ByteRange(start: start, end: end), extents: extents, sizeBytes: size)
    }

    /// A file with reflinked blocks moves others too, so none of its blocks may be written directly.
    private func shares(_ file: FileHandle) throws(ErrorCode) -> Bool {
        if let known = sharing[file] { return known }
        let shares = mount.state.inodes[try mount.number(file)]?.isReflinked ?? false
        sharing[file] = shares
        return shares
    }

    private func grow(
        _ file: FileHandle, _ range: ByteRange, _ zerosFrom: UInt64, _ holder: String
    ) throws(ErrorCode) -> CommandResult {
        let size = try mount.sizeBytes(file)
        let number = try mount.number(file)
        // The note for the next coordinator comes first.
        if mount.state.growthNotes[number] == nil {
            mount.state.growthNotes[number] = (size, holder)
            mount.commitInMemory()
        }
        do throws(ErrorCode) {
            try mount.truncate(file, toSizeBytes: range.endBytes)
            let end = ByteRange(start: 0, end: size).wholeBlocks(Limits.blockSizeBytes).endBytes
            let start = max(end, zerosFrom)
            if start < range.endBytes {
                try mount.zeroFill(file, ByteRange(start: start, end: range.endBytes))
            }
        } catch {
            if error != .inputOutput { try mount.truncate(file, toSizeBytes: size) }
            throw error
        }
        return try map(file, range)
    }

    private func fill(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) -> CommandResult {
        guard case .mapped(let known, let extents, let size) = try map(file, range) else {
            throw .inputOutput
        }
        if try shares(file) {
            return .filled(range: known, extents: extents, sizeBytes: size, zeroed: [])
        }
        var zeroed: [ByteRange] = []
        do throws(ErrorCode) {
            for extent in extents where extent.state == .hole || extent.state == .unwritten {
                let part = ByteRange(
                    offset: extent.fileOffsetBytes, length: extent.lengthBytes)
                try mount.zeroFill(file, part)
                zeroed.append(part)
            }
        } catch {
            guard error == .noSpace else { throw error }
        }
        guard case .mapped(let mapped, let filled, _) = try map(file, known) else {
            throw .inputOutput
        }
        return .filled(range: mapped, extents: filled, sizeBytes: size, zeroed: zeroed)
    }

    private func settle(
        _ file: FileHandle, _ report: WriteReport
    ) throws(ErrorCode) -> CommandResult {
        guard let number = mount.state.inode(of: file) else {
            return .performed(.done, sizeBytes: nil)
        }
        if let size = report.grownSizeBytes {
            if size < (try mount.sizeBytes(file)) {
                // A crash before the cut must not undo what was reached.
                if mount.state.growthNotes[number] != nil {
                    mount.state.growthNotes[number]?.sizeBytes = size
                    mount.commitInMemory()
                }
                try mount.truncate(file, toSizeBytes: size)
                try mount.dropCache(
                    file,
                    ByteRange(start: size & ~(Limits.blockSizeBytes - 1), end: .max))
            }
            if mount.state.growthNotes.removeValue(forKey: number) != nil {
                mount.commitInMemory()
            }
        }
        if let unused = report.unusedFill {
            try mount.allocate(file, mode: AllocationMode.punch, unused.range)
            try mount.dropCache(file, unused.range)
        }
        return .performed(.done, sizeBytes: try mount.sizeBytes(file))
    }

    private func perform(_ operation: Operation, _ cells: [Cell]) throws(ErrorCode) -> Outcome {
        switch operation {
        case .root:
            return done(.entry(mount.entry(ModelMount.rootInode)))
        case .lookup(let name):
            return done(.entry(try mount.lookup(name.name)))
        case .attributes(let file):
            let attributes = try mount.attributes(file)
            return done(.attributes(attributes), attributes.sizeBytes)
        case .setAttributes(let file, let change):
            if let size = change.sizeBytes {
                try mount.truncate(file, toSizeBytes: size)
                if rules.contains(.cleanBeforeGrant) {
                    let start = size & ~(Limits.blockSizeBytes - 1)
                    try mount.dropCache(file, ByteRange(start: start, end: .max))
                }
            }
            let attributes = try mount.attributes(file)
            return done(.attributes(attributes), attributes.sizeBytes)
        case .create(let name, _, _, _, let exclusive):
            if !exclusive, let found = try? mount.lookup(name.name) { return done(.entry(found)) }
            return done(.entry(try mount.create(name.name)))
        case .link(let file, let name):
            try mount.link(file, name.name)
            return done(.entry(mount.entry(try mount.number(file))))
        case .unlink(let name):
            try mount.unlink(name.name)
            return done(.done)
        case .rename(let name, let target, _):
            try mount.rename(name.name, to: target.name)
            return done(.done)
        case .open(let file, _):
            return done(.done, try mount.sizeBytes(file))
        case .setExtendedAttribute(let file, _, let value, let flags):
            try mount.setAttribute(file, UInt64(value[0]), create: flags & 1 != 0)
            return done(.done)
        case .removeExtendedAttribute(let file, _):
            try mount.removeAttribute(file)
            return done(.done)
        case .allocate(let file, let mode, let range):
            try mount.allocate(file, mode: mode, range)
            return done(.done, try mount.sizeBytes(file))
        case .copyRange(let source, let from, let target, let to, let length):
            return try copy(source, from, target, to, length)
        case .synchronize:
            return done(.done)
        case .read(let file, let range):
            let found = try mount.read(
                file, cell: Int(range.startBytes / Cells.bytes),
                count: Int(range.lengthBytes / Cells.bytes))
            return Outcome(result: .performed(.data, sizeBytes: nil), cells: found)
        case .write(let file, let offset, let flags):
            return try write(file, offset, flags, cells)
        default:
            throw .notSupported
        }
    }

    private func done(_ result: OperationResult, _ size: UInt64? = nil) -> Outcome {
        Outcome(result: .performed(result, sizeBytes: size))
    }

    private func write(
        _ file: FileHandle, _ offset: UInt64, _ flags: WriteFlags, _ cells: [Cell]
    ) throws(ErrorCode) -> Outcome {
        let before = try mount.sizeBytes(file)
        let start = flags.contains(.append) ? before : offset
        try mount.write(file, cell: Int(start / Cells.bytes), cells)
        let size = try mount.sizeBytes(file)
        if size > before, rules.contains(.cleanBeforeGrant) {
            let old = before & ~(Limits.blockSizeBytes - 1)
            try mount.dropCache(file, ByteRange(offset: old, length: Limits.blockSizeBytes))
        }
        return done(
            .written(
                offsetBytes: start, lengthBytes: UInt32(cells.count * Int(Cells.bytes)),
                sizeBytes: size), size)
    }

    private func copy(
        _ source: FileHandle, _ from: UInt64, _ target: FileHandle, _ to: UInt64,
        _ length: UInt64
    ) throws(ErrorCode) -> Outcome {
        let block = Int(Limits.blockSizeBytes)
        // Rule sole-mutator: what the file system would share by itself is copied.
        if !rules.contains(.soleMutator), from == to, from % UInt64(block) == 0,
            length % UInt64(block) == 0, source != target,
            try mount.sizeBytes(source) >= from + length
        {
            try mount.reflink(
                source, to: target, blocks: Int(from) / block..<Int(from + length) / block)
            return done(.copied(length), try mount.sizeBytes(target))
        }
        let found = try mount.read(
            source, cell: Int(from / Cells.bytes), count: Int(length / Cells.bytes))
        if !found.isEmpty { try mount.write(target, cell: Int(to / Cells.bytes), found) }
        return done(
            .copied(UInt64(found.count) * Cells.bytes), try mount.sizeBytes(target))
    }
}

extension Command {
    var isOnlyLook: Bool {
        switch self {
        case .resolve, .stat, .map: true
        case .perform(let operation): !operation.needsSlot
        case .hide, .renameHiding, .removeHidden, .grow, .fill, .settle: false
        }
    }

    /// Its result may show something that is not durable yet.
    func needsCommit(_ rules: SafetyRules) -> Bool {
        switch self {
        case .map, .grow, .fill: rules.contains(.durableBeforeGrant)
        default: rules.contains(.durableBeforeShown)
        }
    }
}
