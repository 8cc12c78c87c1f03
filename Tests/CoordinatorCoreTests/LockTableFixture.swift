import Testing
import VolumeModel
import VolumeProtocol

@testable import CoordinatorCore

/// Short names for a few nodes, files and requests.
enum LockTableFixture {
    static let node1 = NodeIdentity(name: "node1", incarnation: Incarnation(1))
    static let node2 = NodeIdentity(name: "node2", incarnation: Incarnation(2))
    static let node3 = NodeIdentity(name: "node3", incarnation: Incarnation(3))
    static let last = UInt64(Int64.max)

    static func file(_ number: UInt8) -> FileHandle {
        guard let handle = FileHandle(kind: 1, bytes: [number]) else {
            preconditionFailure("one byte makes a handle")
        }
        return handle
    }

    static func request(
        _ type: LockType, _ start: UInt64 = 0, _ end: UInt64 = UInt64(Int64.max), owner: UInt64,
        file number: UInt8 = 1, kind: LockKind = .record, open: UInt64 = 1, process: UInt32 = 0,
        waits: Bool = false
    ) -> LockRequest {
        LockRequest(
            file: file(number), open: OpenID(open), owner: owner, kind: kind, type: type,
            startBytes: start, lastBytes: end,
            processID: process == 0 ? UInt32(owner) : process, waits: waits)
    }
}
