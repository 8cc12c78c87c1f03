import CoordinatorCore
import HostFileSystem
import Locking
import Logging
import NIOCore
import VolumeModel
import VolumeProtocol

/// What a command brought: its result, and the bytes that a read answers.
struct CommandOutcome: Sendable {
    var result: CommandResult
    var payload: ByteBuffer?
}

/// Performs a core's commands on the private mount. Every call blocks, and may run beside others.
final class CommandRunner: Sendable {
    let volume: HostVolume
    let rules: SafetyRules
    let directory: PrivateDirectory
    let view: HostVolumeView
    /// Whether a file has reflinked blocks, told once per file: nothing but the coordinator's own
    /// operations could make some (rule sole-mutator), and none does.
    private let sharing = Lock<[FileHandle: Bool]>([:])

    init(volume: HostVolume, rules: SafetyRules) throws(ErrorCode) {
        self.volume = volume
        self.rules = rules
        directory = try PrivateDirectory(volume: volume)
        view = HostVolumeView(volume: volume, directory: directory)
    }

    func root() throws(ErrorCode) -> FileEntry {
        FileEntry(
            handle: volume.rootHandle, attributes: try volume.attributes(volume.rootHandle))
    }

    /// Performs a command for a node. With `once`, its intent and its outcome are recorded around it.
    func run(
        _ command: Command, payload: ByteBuffer?, once: OnceKey?, node: String = ""
    ) -> CommandOutcome {
        guard let once else { return attempt(command, payload, nil, node) }
        let hadIntent: Bool
        do throws(ErrorCode) {
            let intent = try IntentResolver.intent(
                for: command, payloadBytes: payload?.readableBytes ?? 0, view)
            if let intent { try directory.journal.write(.intended(intent), for: once) }
            hadIntent = intent != nil
        } catch {
            return CommandOutcome(result: .failed(error))
        }
        let outcome = attempt(command, payload, once, node)
        let ended = IntentResolver.outcome(
            of: command, outcome.result, hadIntent: hadIntent || command.makesHidden)
        do throws(ErrorCode) {
            if let ended { try directory.journal.write(.ended(ended), for: once) }
        } catch {
            return unrecorded(outcome, once)
        }
        return outcome
    }

    /// There was no room for an outcome. An intent must not outlive its operation's claims, so it
    /// goes: until this answer has arrived, a crash may have the operation done twice.
    private func unrecorded(_ outcome: CommandOutcome, _ once: OnceKey) -> CommandOutcome {
        do throws(ErrorCode) {
            try directory.journal.clear(once)
            return outcome
        } catch {
            return CommandOutcome(result: .failed(.inputOutput))
        }
    }

    private func attempt(
        _ command: Command, _ payload: ByteBuffer?, _ once: OnceKey?, _ node: String
    ) -> CommandOutcome {
        do throws(ErrorCode) {
            return try perform(command, payload, once, node)
        } catch {
            return CommandOutcome(result: .failed(error))
        }
    }

    private func perform(
        _ command: Command, _ payload: ByteBuffer?, _ once: OnceKey?, _ node: String
    ) throws(ErrorCode) -> CommandOutcome {
        switch command {
        case .perform(.createUnnamed(let parent, let mode, let creator, let open)):
            let entry = try directory.create(in: parent, mode: mode, creator: creator.onHost) {
                file throws(ErrorCode) in
                guard let once else { return }
                try directory.journal.write(
                    .intended(.makesHidden(file, open: open)), for: once)
            }
            return CommandOutcome(result: .performed(.entry(entry), sizeBytes: nil))
        case .perform(let operation):
            return try perform(operation, payload)
        case .resolve(let names):
            return CommandOutcome(result: .resolved(try names.map(resolve)))
        case .hide(let name, let file):
            try directory.refuse(name)
            try directory.hide(name, file)
            return CommandOutcome(result: .performed(.done, sizeBytes: nil))
        case .renameHiding(let name, let target, let victim):
            try directory.refuse(name)
            try directory.refuse(target)
            try directory.keepName(of: victim)
            do throws(ErrorCode) {
                try volume.rename(name.name, in: name.parent, to: target.name, in: target.parent)
            } catch {
                try? directory.remove(victim)
                throw error
            }
            return CommandOutcome(result: .performed(.done, sizeBytes: nil))
        case .removeHidden(let file):
            try directory.remove(file)
            volume.forget(file)
            directory.reserve.refill()
            return CommandOutcome(result: .done)
        case .map(let file, let range):
            return CommandOutcome(result: try map(file, range))
        case .grow(let file, let range, let zerosFrom):
            return CommandOutcome(result: try grow(file, range, zerosFrom, node))
        case .fill(let file, let range, let follows):
            return CommandOutcome(result: try fill(file, range, follows: follows))
        case .settle(let file, let report):
            return CommandOutcome(result: try settle(file, report))
        case .stat(let file):
            return CommandOutcome(result: .attributes(try volume.attributes(file)))
        }
    }

    private func resolve(_ name: NameInDirectory) throws(ErrorCode) -> FileEntry? {
        if directory.isOwn(name) { return nil }
        do throws(ErrorCode) {
            let found = try volume.lookup(name.name, in: name.parent)
            return FileEntry(handle: found.handle, attributes: found.attributes)
        } catch {
            // The operation itself will say what is wrong.
            return nil
        }
    }

    /// Empties the page cache of the range, and reads the map (rules clean-before-grant,
    /// written-before-grant). A range that does not come clean is not granted.
    func map(_ file: FileHandle, _ range: ByteRange) throws(ErrorCode) -> CommandResult {
        let size = try volume.attributes(file).sizeBytes
        if rules.contains(.cleanBeforeGrant), try !volume.dropCache(file, range).isClean {
            let start = range.startBytes
            return .mapped(
                range: ByteRange(start: start, end: start), extents: [], sizeBytes: size)
        }
        var (extents, end) = try volume.map(
            file, range, maximumExtents: Limits.extentsPerGrantMaximum)
        if try shares(file) {
            for index in extents.indices where extents[index].state == .written {
                extents[index].state = .shared
            }
        }
        let start = min(range.startBytes, end)
        return .mapped(
            range: ByteRange(start: start, end: end), extents: extents, sizeBytes: size)
    }

    /// A file with reflinked blocks moves others too when they are written, so none of its blocks may
    /// be written directly.
    func shares(_ file: FileHandle) throws(ErrorCode) -> Bool {
        if let known = sharing.withLock({ $0[file] }) { return known }
        let shares = try volume.sharesBlocks(file)
        sharing.withLock { known in
            if known.count >= ServiceLimits.sharingKnownMaximum { known.removeAll() }
            known[file] = shares
        }
        return shares
    }

    /// Lengthens a file to the end of the range, with zeros that are written; what lies before them
    /// stays a hole. On a full volume the file stays as long as it was.
    private func grow(
        _ file: FileHandle, _ range: ByteRange, _ zerosFrom: UInt64, _ node: String
    ) throws(ErrorCode) -> CommandResult {
        let size = try volume.attributes(file).sizeBytes
        try requireRoom(bytes: range.endBytes > zerosFrom ? range.endBytes - zerosFrom : 0)
        let isNew = try directory.growth.begin(
            file, visibleSizeBytes: size, holder: node)
        do throws(ErrorCode) {
            try volume.truncate(file, toSizeBytes: range.endBytes)
            let end = ByteRange(start: 0, end: size).wholeBlocks(Limits.blockSizeBytes).endBytes
            let start = max(end, zerosFrom)
            if start < range.endBytes {
                try volume.zeroFill(file, ByteRange(start: start, end: range.endBytes))
            }
        } catch {
            try volume.truncate(file, toSizeBytes: size)
            _ = try volume.dropCache(file, range)
            if isNew { try directory.growth.end(file) }
            throw error
        }
        return try map(file, range)
    }

    /// Applies a node's report. Times only move forward: a later change of theirs may be there.
    private func settle(
        _ file: FileHandle, _ report: WriteReport
    ) throws(ErrorCode) -> CommandResult {
        var attributes: FileAttributes
        do throws(ErrorCode) {
            attributes = try volume.attributes(file)
        } catch {
            // A file that is gone has nothing to settle.
            if error == .stale { try directory.growth.end(file) }
            return .performed(.done, sizeBytes: nil)
        }
        var modified = attributes.modificationTime
        if let age = report.ageNanoseconds {
            modified = max(modified, Timestamp.now.earlier(byNanoseconds: age))
        }
        if let size = report.grownSizeBytes, size < attributes.sizeBytes {
            try directory.growth.reach(file, sizeBytes: size)
            try volume.truncate(file, toSizeBytes: size)
            let start = size & ~(Limits.blockSizeBytes - 1)
            _ = try volume.dropCache(file, ByteRange(start: start, end: .max))
            attributes.sizeBytes = size
            // The cut is no change of the file's owner's: its time does not count.
            attributes.modificationTime = .now
        }
        if report.grownSizeBytes != nil { try directory.growth.end(file) }
        if let unused = report.unusedFill {
            try takeBack(unused.range, of: file)
            attributes.modificationTime = .now
        }
        if modified != attributes.modificationTime {
            var change = AttributeChange()
            change.modificationTime = .to(modified)
            _ = try volume.setAttributes(file, change)
        }
        return .performed(.done, sizeBytes: attributes.sizeBytes)
    }
}
