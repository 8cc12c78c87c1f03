import CoordinatorCore
import HostFileSystem
import Locking
import VolumeModel
import VolumeProtocol

/// What became of the last request on each slot of each node, on the volume itself (rule once): a
/// small file per node and slot, with a ``CoordinatorCore/OnceRecord`` in an extended attribute. An
/// attribute is metadata: it is in the file system's journal, in order with the changes before and
/// after it, and the flush that makes a change durable takes its record along.
final class OperationJournal: Sendable {
    static let attributeName = Array("trusted.covol".utf8)

    private struct Key: Hashable {
        var node: String
        var slot: UInt16

        var fileName: [UInt8] { Array("\(node).\(slot)".utf8) }

        init(node: String, slot: UInt16) {
            self.node = node
            self.slot = slot
        }

        init?(fileName: [UInt8]) {
            let text = String(decoding: fileName, as: UTF8.self)
            guard let dot = text.lastIndex(of: "."),
                let slot = UInt16(text[text.index(after: dot)...]),
                Int(slot) < Limits.slotsPerSession
            else { return nil }
            node = String(text[..<dot])
            self.slot = slot
        }
    }

    private let volume: HostVolume
    let directory: FileHandle
    private let reserve: SpaceReserve
    private let files = Lock<[Key: FileHandle]>([:])

    init(volume: HostVolume, directory: FileHandle, reserve: SpaceReserve) {
        self.volume = volume
        self.directory = directory
        self.reserve = reserve
    }

    func write(_ state: OnceRecord.State, for key: OnceKey) throws(ErrorCode) {
        let record = OnceRecord(
            incarnation: key.session.incarnation, sequence: key.sequence, state: state)
        try write(record, Key(node: key.session.name, slot: key.slot))
    }

    /// Forgets the last request on a slot.
    func clear(_ key: OnceKey) throws(ErrorCode) {
        try clear(Key(node: key.session.name, slot: key.slot))
    }

    private func clear(_ key: Key) throws(ErrorCode) {
        do throws(ErrorCode) {
            try volume.removeExtendedAttribute(Self.attributeName, of: try file(key))
        } catch .noData {}
    }

    private func write(_ record: OnceRecord, _ key: Key) throws(ErrorCode) {
        let file = try file(key)
        try reserve.use { () throws(ErrorCode) in
            try volume.setExtendedAttribute(Self.attributeName, of: file, to: record.encoded())
        }
    }

    /// The slot's file; made when the slot is used for the first time.
    private func file(_ key: Key) throws(ErrorCode) -> FileHandle {
        if let known = files.withLock({ $0[key] }) { return known }
        let file = try findOrMake(key.fileName)
        files.withLock { $0[key] = file }
        return file
    }

    private func findOrMake(_ name: [UInt8]) throws(ErrorCode) -> FileHandle {
        do throws(ErrorCode) {
            return try volume.lookup(name, in: directory).handle
        } catch .noEntry {
            return try reserve.use { () throws(ErrorCode) -> FileHandle in
                try volume.create(
                    name, in: directory, mode: 0o600, creator: PrivateDirectory.creator
                ).handle
            }
        }
    }

    // MARK: After an earlier coordinator

    /// Resolves every intent that has no outcome, and tells all outcomes. Slots of nodes that are not
    /// attached go: nobody will ask for them.
    func takeOver(
        attached: Set<String>, _ view: HostVolumeView
    ) throws -> [SlotOutcome] {
        var outcomes: [SlotOutcome] = []
        for name in try volume.names(in: directory) {
            guard let key = Key(fileName: name), attached.contains(key.node) else {
                try volume.unlink(name, in: directory)
                continue
            }
            guard let record = try read(key), let outcome = try resolve(record, key, view) else {
                continue
            }
            outcomes.append(
                SlotOutcome(
                    key: OnceKey(
                        session: NodeIdentity(name: key.node, incarnation: record.incarnation),
                        slot: key.slot, sequence: record.sequence),
                    outcome: outcome))
        }
        try volume.sync()
        return outcomes
    }

    private func read(_ key: Key) throws -> OnceRecord? {
        guard let bytes = try bytes(of: try file(key)) else { return nil }
        do {
            return try OnceRecord(encoded: bytes)
        } catch {
            throw CoordinatorError(
                "the record of \(key.node)'s slot \(key.slot) on the volume is damaged "
                    + "(\(error)); whether its last change was made cannot be told. Check the file "
                    + "system, and remove .covolume/once from it to start without")
        }
    }

    private func bytes(of file: FileHandle) throws(ErrorCode) -> [UInt8]? {
        do throws(ErrorCode) {
            return try volume.extendedAttribute(Self.attributeName, of: file)
        } catch .noData {
            return nil
        }
    }

    private func resolve(
        _ record: OnceRecord, _ key: Key, _ view: HostVolumeView
    ) throws(ErrorCode) -> OnceOutcome? {
        let intent: OnceIntent
        switch record.state {
        case .ended(let outcome): return outcome
        case .intended(let found): intent = found
        }
        switch try IntentResolver.resolve(intent, view) {
        case .done(let outcome):
            var ended = record
            ended.state = .ended(outcome)
            try write(ended, key)
            return outcome
        case .cutBack(let file, let size):
            try volume.truncate(file, toSizeBytes: size)
            let start = size & ~(Limits.blockSizeBytes - 1)
            _ = try volume.dropCache(file, ByteRange(start: start, end: .max))
        case .notDone:
            break
        }
        try clear(key)
        return nil
    }
}

/// Why a coordinator does not start.
public struct CoordinatorError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
