import HostFileSystem
import Synchronization
import VolumeModel

/// Some room that a full volume still has for the coordinator itself: taking a name away from a file
/// in use must not fail for want of a directory block to move it to.
final class SpaceReserve: Sendable {
    private static let name = Array("reserve".utf8)
    static let sizeBytes: UInt64 = 1 << 20

    private let volume: HostVolume
    private let directory: FileHandle
    private let file: FileHandle
    private let isThere: Mutex<Bool>

    /// Finds the reserve or makes it, as far as there is room.
    init(volume: HostVolume, directory: FileHandle) throws(ErrorCode) {
        self.volume = volume
        self.directory = directory
        do throws(ErrorCode) {
            file = try volume.lookup(Self.name, in: directory).handle
        } catch .noEntry {
            file = try volume.create(
                Self.name, in: directory, mode: 0o600, creator: PrivateDirectory.creator
            ).handle
        }
        isThere = Mutex(Self.allocate(volume, file))
    }

    private static func allocate(_ volume: HostVolume, _ file: FileHandle) -> Bool {
        do throws(ErrorCode) {
            try volume.allocate(file, mode: [], ByteRange(start: 0, end: sizeBytes))
            return true
        } catch {
            return false
        }
    }

    /// Runs what the coordinator must be able to do, if need be in the reserve's room.
    func use<Result>(
        _ body: () throws(ErrorCode) -> Result
    ) throws(ErrorCode) -> Result {
        do throws(ErrorCode) {
            return try body()
        } catch .noSpace {
            let hadSome = isThere.withLock { isThere in
                defer { isThere = false }
                return isThere
            }
            guard hadSome else { throw .noSpace }
            try volume.truncate(file, toSizeBytes: 0)
            // Freed blocks are given out again once the journal says so.
            try volume.sync()
            return try body()
        }
    }

    var isFull: Bool { isThere.withLock { $0 } }

    /// Something was removed: there may be room for the reserve again.
    func refill() {
        isThere.withLock { isThere in
            if !isThere { isThere = Self.allocate(volume, file) }
        }
    }

    func remove() throws(ErrorCode) { try volume.unlink(Self.name, in: directory) }
}
