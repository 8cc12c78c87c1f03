import VolumeModel
import VolumeProtocol

/// The locks that the processes of one node hold on one volume, as far as the coordinator granted
/// them: to be told to the next coordinator. It decides nothing.
public struct HeldLocks: Sendable {
    private struct Owner: Hashable {
        var number: UInt64
        var kind: LockKind
    }

    fileprivate struct Held {
        var open: OpenID
        var processID: UInt32
        var type: LockType
        var startBytes: UInt64
        var lastBytes: UInt64
    }

    private var files: [FileHandle: [Owner: [Held]]] = [:]

    public init() {}

    public var isEmpty: Bool { files.isEmpty }

    /// A request was granted: a lock, another type of it, or its end.
    public mutating func granted(_ request: LockRequest) {
        let owner = Owner(number: request.owner, kind: request.kind)
        var ranges = files[request.file]?[owner] ?? []
        if request.kind == .flock {
            ranges = []
        } else {
            ranges = ranges.flatMap { $0.without(request.startBytes, request.lastBytes) }
        }
        if request.type != .unlock {
            let isWhole = request.kind == .flock
            ranges.append(
                Held(
                    open: request.open, processID: request.processID, type: request.type,
                    startBytes: isWhole ? 0 : request.startBytes,
                    lastBytes: isWhole ? UInt64(Int64.max) : request.lastBytes))
        }
        set(ranges, request.file, owner)
    }

    /// A request was refused, or its wait ended. A flock that was to be converted is gone then
    /// (flock(2), NOTES).
    public mutating func refused(_ request: LockRequest) {
        guard request.kind == .flock else { return }
        set([], request.file, Owner(number: request.owner, kind: request.kind))
    }

    /// A close by a process: its record locks of the file end.
    public mutating func releaseOwner(_ file: FileHandle, owner: UInt64) {
        set([], file, Owner(number: owner, kind: .record))
    }

    /// The end of an open, and of what was locked through it.
    public mutating func releaseOpen(_ file: FileHandle, _ open: OpenID) {
        for (owner, ranges) in files[file] ?? [:] {
            set(ranges.filter { $0.open != open }, file, owner)
        }
    }

    public mutating func releaseFile(_ file: FileHandle) { files[file] = nil }

    public mutating func removeAll() { files = [:] }

    /// Every lock, as requests that would take it again, in no order: none conflicts with another.
    public var requests: [LockRequest] { files.keys.flatMap { requests(of: $0) } }

    /// Those of one file.
    public func requests(of file: FileHandle) -> [LockRequest] {
        (files[file] ?? [:]).flatMap { owner, ranges in
            ranges.map { held in
                LockRequest(
                    file: file, open: held.open, owner: owner.number, kind: owner.kind,
                    type: held.type, startBytes: held.startBytes, lastBytes: held.lastBytes,
                    processID: held.processID, waits: false)
            }
        }
    }

    private mutating func set(_ ranges: [Held], _ file: FileHandle, _ owner: Owner) {
        files[file, default: [:]][owner] = ranges.isEmpty ? nil : ranges
        if files[file]?.isEmpty == true { files[file] = nil }
    }
}

extension HeldLocks.Held {
    /// What is left of it beside a range.
    fileprivate func without(_ start: UInt64, _ last: UInt64) -> [HeldLocks.Held] {
        guard start <= lastBytes && startBytes <= last else { return [self] }
        var rest: [HeldLocks.Held] = []
        if startBytes < start {
            var before = self
            before.lastBytes = start - 1
            rest.append(before)
        }
        if last < lastBytes {
            var after = self
            after.startBytes = last + 1
            rest.append(after)
        }
        return rest
    }
}
