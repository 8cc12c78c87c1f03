import CoordinatorCore
import NIOCore
import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorService
@testable import HostFileSystem

/// An operation that a crash interrupts, on names and files of its own.
struct OnceCase: Sendable {
    /// How far it came before the crash.
    enum Step: Sendable, CaseIterable {
        case nothing
        case intended
        case performed
        case recorded
    }

    var operation: VolumeProtocol.Operation
    /// The task's own command, where it is not the operation's.
    var command: Command?
    var payload: [UInt8]?
    /// True where the volume looks as after exactly one execution.
    var isDoneOnce: @Sendable (HostVolume) throws -> Bool

    /// Takes the operation as far as `step` with a coordinator's own means.
    func take(
        to step: Step, _ runner: CommandRunner, _ key: OnceKey
    ) throws(ErrorCode) {
        let command = command ?? .perform(operation)
        let payload = payload.map { ByteBuffer(bytes: $0) }
        switch step {
        case .nothing:
            return
        case .recorded:
            _ = runner.run(command, payload: payload, once: key)
            return
        case .intended, .performed:
            break
        }
        if case .createUnnamed(let parent, let mode, let creator, let open) = operation {
            let journal = runner.directory.journal
            if step == .intended {
                let found = try runner.volume.createUnnamed(
                    in: parent, mode: mode, creator: creator.onHost)
                try journal.write(.intended(.makesHidden(found.handle, open: open)), for: key)
            } else {
                _ = try runner.directory.create(in: parent, mode: mode, creator: creator.onHost) {
                    file throws(ErrorCode) in
                    try journal.write(.intended(.makesHidden(file, open: open)), for: key)
                }
            }
            return
        }
        let intent = try IntentResolver.intent(
            for: command, payloadBytes: payload?.readableBytes ?? 0, runner.view)
        if let intent { try runner.directory.journal.write(.intended(intent), for: key) }
        if step == .performed { _ = runner.run(command, payload: payload, once: nil) }
    }

    // MARK: Every kind

    private struct Maker {
        let volume: HostVolume
        let root: FileHandle
        let creator = VolumeProtocol.Creator(userID: 0, groupID: 0, umask: 0)
        let size: UInt64 = 40_000

        func name(_ text: String) -> NameInDirectory {
            NameInDirectory(parent: root, name: Array(text.utf8))
        }

        func file(_ text: String) throws -> FileHandle {
            let file = try volume.create(
                Array(text.utf8), in: root, mode: 0o644, creator: creator.onHost
            ).handle
            let bytes: [UInt8] = pattern(Int(size), seed: 1)
            _ = try bytes.withUnsafeBytes { try volume.write(file, offsetBytes: 0, $0) }
            return file
        }
    }

    /// Makes what the operations work on. The first open of `victim` is number 7, that of `unnamed`
    /// number 8.
    static func all(_ volume: HostVolume) throws -> (cases: [OnceCase], victim: FileHandle) {
        let maker = Maker(volume: volume, root: volume.rootHandle)
        let cases = try names(maker) + contents(maker)
        let victim = try maker.file("victim")
        let hide = OnceCase(
            operation: .unlink(maker.name("victim")), command: .hide(maker.name("victim"), victim)
        ) { try $0.find("victim") == nil && $0.attributes(victim).linkCount == 1 }
        let covered = try maker.file("covered")
        let cover = try maker.file("cover")
        let renameHiding = OnceCase(
            operation: .rename(maker.name("cover"), to: maker.name("covered"), flags: 0),
            command: .renameHiding(maker.name("cover"), to: maker.name("covered"), victim: covered)
        ) { try $0.find("cover") == nil && $0.find("covered") == cover }
        return (cases + [hide, renameHiding], victim)
    }

    private static func names(_ maker: Maker) throws -> [OnceCase] {
        let old = try maker.file("linked")
        let moved = try maker.file("moved")
        let (left, right) = (try maker.file("left"), try maker.file("right"))
        _ = try maker.file("unlinked")
        _ = try maker.file("under")
        let over = try maker.file("over")
        _ = try maker.volume.makeDirectory(
            Array("removed".utf8), in: maker.root, mode: 0o755, creator: maker.creator.onHost)
        let creator = maker.creator
        return [
            OnceCase(
                operation: .create(
                    maker.name("created"), mode: 0o644, creator, open: OpenID(6),
                    exclusive: true)
            ) { try $0.find("created") != nil },
            OnceCase(
                operation: .createUnnamed(
                    maker.root, mode: 0o600, creator, open: OpenID(8))
            ) { _ in true },
            OnceCase(
                operation: .makeNode(
                    maker.name("fifo"), mode: 0o010644, deviceMajor: 0, deviceMinor: 0, creator)
            ) { try $0.find("fifo") != nil },
            OnceCase(operation: .makeDirectory(maker.name("directory"), mode: 0o755, creator)) {
                try $0.find("directory") != nil
            },
            OnceCase(
                operation: .makeSymbolicLink(maker.name("symbolic"), target: [0x61], creator)
            ) { try $0.find("symbolic") != nil },
            OnceCase(operation: .link(old, maker.name("link"))) {
                try $0.find("link") == old && $0.attributes(old).linkCount == 2
            },
            OnceCase(operation: .unlink(maker.name("unlinked"))) {
                try $0.find("unlinked") == nil
            },
            OnceCase(operation: .removeDirectory(maker.name("removed"))) {
                try $0.find("removed") == nil
            },
            OnceCase(
                operation: .rename(maker.name("moved"), to: maker.name("elsewhere"), flags: 1)
            ) { try $0.find("moved") == nil && $0.find("elsewhere") == moved },
            OnceCase(operation: .rename(maker.name("over"), to: maker.name("under"), flags: 0)) {
                try $0.find("over") == nil && $0.find("under") == over
            },
            OnceCase(operation: .rename(maker.name("left"), to: maker.name("right"), flags: 2)) {
                try $0.find("left") == right && $0.find("right") == left
            },
        ]
    }

    private static func contents(_ maker: Maker) throws -> [OnceCase] {
        let size = maker.size
        let block = Limits.blockSizeBytes
        let appended = try maker.file("appended")
        let shorter = try maker.file("shorter")
        let longer = try maker.file("longer")
        let attributed = try maker.file("attributed")
        let written = try maker.file("written")
        let changed = try maker.file("changed")
        let (added, had) = (Array("user.added".utf8), Array("user.had".utf8))
        try maker.volume.setExtendedAttribute(had, of: attributed, to: [1])
        var change = AttributeChange()
        change.mode = 0o600
        change.sizeBytes = 777
        let range = ByteRange(start: block, end: 2 * block)
        let truncation = change
        return [
            OnceCase(
                operation: .write(appended, offsetBytes: 0, .append),
                payload: pattern(3000, seed: 2)
            ) { try $0.attributes(appended).sizeBytes == size + 3000 },
            OnceCase(operation: .write(written, offsetBytes: 100, []), payload: [1, 2, 3]) {
                try $0.attributes(written).sizeBytes == size
            },
            OnceCase(operation: .allocate(shorter, mode: 0x08, range)) {
                try $0.attributes(shorter).sizeBytes == size - block
            },
            OnceCase(operation: .allocate(longer, mode: 0x20, range)) {
                try $0.attributes(longer).sizeBytes == size + block
            },
            OnceCase(operation: .allocate(written, mode: 3, range)) {
                try $0.attributes(written).sizeBytes == size
            },
            OnceCase(operation: .setAttributes(changed, truncation)) {
                try $0.attributes(changed).sizeBytes == 777
            },
            OnceCase(
                operation: .copyRange(
                    appended, sourceOffsetBytes: 0, to: written, targetOffsetBytes: 0,
                    lengthBytes: 100)
            ) { try $0.attributes(written).sizeBytes == size },
            OnceCase(
                operation: .setExtendedAttribute(attributed, name: added, value: [5], flags: 1)
            ) { try $0.extendedAttribute(added, of: attributed) == [5] },
            OnceCase(operation: .removeExtendedAttribute(attributed, name: had)) {
                !(try $0.extendedAttributeNames(of: attributed).contains(had))
            },
        ]
    }
}

extension HostVolume {
    /// What a name at the root stands for.
    func find(_ name: String) throws -> FileHandle? {
        do throws(ErrorCode) {
            return try lookup(Array(name.utf8), in: rootHandle).handle
        } catch .noEntry {
            return nil
        }
    }
}
