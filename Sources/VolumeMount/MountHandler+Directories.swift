import FUSE
import FilterCore
import VolumeModel
import VolumeProtocol

/// A piece of a directory that an open of it was told in one answer; the kernel asks for less at once.
struct DirectoryPiece: Sendable {
    /// The cookie that it was asked with.
    let start: Int64
    let entries: [DirectoryEntry]
    /// Where the last answer to the kernel ended.
    private var position = 0

    init(start: Int64, entries: [DirectoryEntry]) {
        self.start = start
        self.entries = entries
    }

    /// The entries that follow a cookie; nil: they are not in this piece.
    mutating func following(_ cookie: Int64) -> ArraySlice<DirectoryEntry>? {
        func ends(at index: Int) -> Bool {
            (index == 0 ? start : entries[index - 1].nextCookie) == cookie
        }
        if !ends(at: position) {
            guard let found = entries.indices.first(where: ends) else { return nil }
            position = found
        }
        return position < entries.count ? entries[position...] : nil
    }

    mutating func advance(by count: Int) { position += count }
}

/// Directories are asked for in pieces as large as a message takes, whatever the kernel asks for at
/// once. The names of a piece may be as old as the open's last rewind, as readdir(3) has it. What is told
/// of their files is not: it comes from what is granted at that moment, or else from the kernel's own
/// look-up.
extension MountHandler {
    func openDirectory(_ reply: FUSEReplyPort) {
        reply.opened(handle: newOpen().number, openFlags: 0)
    }

    func closeDirectory(_ open: UInt64, _ reply: FUSEReplyPort) {
        state.withLock { $0.directories[open] = nil }
        reply.ok()
    }

    func readDirectory(
        _ handle: FileHandle, _ open: UInt64, _ offset: UInt64, _ builder: FUSEDirectoryBuilder,
        _ reply: FUSEReplyPort
    ) {
        let cookie = Int64(bitPattern: offset)
        let isThere = state.withLock { state in
            // From the start is anew: rewinddir(3).
            if cookie == 0 { state.directories[open] = nil }
            return state.directories[open]?.following(cookie) != nil
        }
        if isThere { return answerFromPiece(handle, open, cookie, builder, reply) }
        let operation = Operation.readDirectory(
            handle, cookie: cookie, maximumBytes: UInt32(Limits.directoryPageMaximumBytes),
            withAttributes: builder.isPlus)
        ask(operation) { [self] answer in
            switch answer.result {
            case .directory(let entries, _) where entries.isEmpty:
                reply.directory(builder)
            case .directory(let entries, _):
                let piece = DirectoryPiece(start: cookie, entries: entries.map(\.entry))
                state.withLock { state in
                    if state.directories.count >= MountLimits.directoryPiecesMaximum,
                        state.directories[open] == nil,
                        let other = state.directories.keys.first
                    {
                        state.directories[other] = nil
                    }
                    state.directories[open] = piece
                }
                answerFromPiece(handle, open, cookie, builder, reply)
            case .failed(let error):
                reply.error(error)
            default:
                reply.error(.protocolError)
            }
        }
    }

    private func answerFromPiece(
        _ handle: FileHandle, _ open: UInt64, _ cookie: Int64, _ empty: FUSEDirectoryBuilder,
        _ reply: FUSEReplyPort
    ) {
        var builder = empty
        let now = MonotonicClock.nowNanoseconds
        let entries: [(DirectoryEntry, FileEntry?)]? = state.withLock { state in
            guard let following = state.directories[open]?.following(cookie) else { return nil }
            var room = builder.capacityBytes
            var entries: [(DirectoryEntry, FileEntry?)] = []
            for entry in following {
                room -= builder.sizeBytes(nameLengthBytes: entry.name.count)
                guard room >= 0 else { break }
                entries.append((entry, builder.isPlus ? state.known(entry, handle, now) : nil))
            }
            state.directories[open]?.advance(by: entries.count)
            return entries
        }
        // Another thread of the same open has had the piece changed: the kernel's next question asks.
        guard let entries else {
            readDirectory(handle, open, UInt64(bitPattern: cookie), builder, reply)
            return
        }
        var counted: [UInt64] = []
        for (entry, file) in entries {
            let lookup = file.map { self.entry($0) }
            let isAdded = builder.add(entry, lookup: lookup)
            precondition(isAdded, "an entry did not fit where it was measured to")
            if let lookup { counted.append(lookup.nodeID) }
        }
        if !reply.directory(builder) {
            for node in counted { nodes.forget(node, count: 1) }
        }
    }
}

extension MountHandler.State {
    /// What may be told of a name's file at this moment.
    fileprivate func known(
        _ entry: DirectoryEntry, _ directory: FileHandle, _ now: UInt64
    ) -> FileEntry? {
        if entry.name == [0x2e] || entry.name == [0x2e, 0x2e] { return nil }
        let name = NameInDirectory(parent: directory, name: entry.name)
        guard case .entry(let file) = filter.cachedEntry(name, nowNanoseconds: now) else {
            return nil
        }
        return file
    }
}
